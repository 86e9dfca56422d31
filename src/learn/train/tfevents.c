/* tfevents.c: TensorBoard's event file, written byte by byte: no library is needed for three kinds of fields.
 *
 *     events.out.tfevents.TIME.HOST, records:   | u64 length | u32 crc(length) | data | u32 crc(data) |    little-endian
 *     crc: CRC-32C, rotated right by 15, plus 0xa282ead8
 *     data: protobuf Event  { 1: double wall_time  2: int64 step  3: string file_version | 5: Summary { 1: Value } }
 *     Value { 1: string tag  2: float simple_value }
 *
 * A log is a convenience: what cannot be written is let go. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/base/buf.h"
#include "learn/train/trainlog.h"

uint32_t tfevents_crc(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
    }
    return ~c;
}

static void put_bytes(struct buf *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        buf_putc(b, (char)(v >> (8 * i)));
}

static void put_varint(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_putc(b, (char)(v | 0x80));
    buf_putc(b, (char)v);
}

static void put_field(struct buf *b, unsigned field, const void *p, size_t n)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    buf_add(b, p, n);
}

static void put_time(struct buf *b)
{
    struct timespec now;
    uint64_t bits;
    clock_gettime(CLOCK_REALTIME, &now);
    double t = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    memcpy(&bits, &t, sizeof bits);
    buf_putc(b, 1 << 3 | 1);
    put_bytes(b, bits, 8);
}

static uint32_t masked(const void *p, size_t n)
{
    uint32_t c = tfevents_crc(p, n);
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

static bool record(int fd, const struct buf *data)
{
    struct buf out = BUF_INIT;
    put_bytes(&out, data->len, 8);
    put_bytes(&out, masked(buf_str(&out), 8), 4);
    buf_add(&out, buf_str(data), data->len);
    put_bytes(&out, masked(buf_str(data), data->len), 4);
    bool ok = !data->failed && !out.failed && write(fd, out.data, out.len) == (ssize_t)out.len;
    buf_release(&out);
    return ok;
}

int tfevents_open(const char *out)
{
    char path[4096], host[64] = "localhost";
    struct buf data = BUF_INIT;
    gethostname(host, sizeof host - 1);
    if (snprintf(path, sizeof path, "%s/events.out.tfevents.%lld.%s", out, (long long)time(NULL), host) >= (int)sizeof path)
        return -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    put_time(&data);
    put_field(&data, 3, "brain.Event:2", 13);
    if (fd >= 0 && !record(fd, &data)) {
        close(fd);
        fd = -1;
    }
    buf_release(&data);
    return fd;
}

void tfevents_scalar(int fd, uint64_t step, const char *tag, double value)
{
    struct buf item = BUF_INIT, summary = BUF_INIT, data = BUF_INIT;
    float f = (float)value;
    uint32_t bits;
    bool ok = fd >= 0;
    memcpy(&bits, &f, sizeof bits);
    put_field(&item, 1, tag, strlen(tag));
    buf_putc(&item, 2 << 3 | 5);
    put_bytes(&item, bits, 4);
    put_field(&summary, 1, buf_str(&item), item.len);
    put_time(&data);
    buf_putc(&data, 2 << 3);
    put_varint(&data, step);
    put_field(&data, 5, buf_str(&summary), summary.len);
    ok = ok && !item.failed && !summary.failed && record(fd, &data);
    (void)ok;
    buf_release(&item);
    buf_release(&summary);
    buf_release(&data);
}
