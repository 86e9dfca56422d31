/* hash.h: SHA-256 for identity (files, chunks, downloads), and a fast 64-bit hash for tables. */
#ifndef BASE_HASH_H
#define BASE_HASH_H
#include <stddef.h>
#include <stdint.h>

struct sha256 { uint32_t h[8]; uint64_t bytes; unsigned char block[64]; };
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t len);
void sha256_end(struct sha256 *s, unsigned char out[32]);
void sha256_hex(const void *p, size_t len, char out[65]);
void hash_hex(const unsigned char digest[32], char out[65]);
uint64_t hash64(const void *p, size_t len, uint64_t seed);
#endif
