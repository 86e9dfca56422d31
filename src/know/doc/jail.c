/* jail.c: system-call filters (seccomp) through libseccomp, the one file that sees it.
 *
 * Filter 1 forbids by list, because the tool (a PDF reader with fonts and maps to open) needs
 * ordinary calls. Filter 2 allows by list: a parser that was taken over can compute, write to the
 * descriptors it already has, and end. Anything else fails with EPERM rather than killing, since
 * the C library probes (a locale, a converter file) and lives well with "no". */
#include "know/doc/jail.h"
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>

static bool filter_load(uint32_t otherwise, uint32_t action, const int *calls, size_t count)
{
    scmp_filter_ctx f = seccomp_init(otherwise);
    if (f == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (calls[i] >= 0) /* negative: this machine has no such call */
            seccomp_rule_add(f, action, calls[i], 0);
    bool loaded = seccomp_load(f) == 0;
    seccomp_release(f);
    return loaded;
}

bool jail_tools(void)
{
    static const int forbidden[] = {
        SCMP_SYS(socket),
        SCMP_SYS(socketpair),
        SCMP_SYS(connect),
        SCMP_SYS(bind),
        SCMP_SYS(listen),
        SCMP_SYS(accept),
        SCMP_SYS(accept4),
        SCMP_SYS(sendto),
        SCMP_SYS(sendmsg),
        SCMP_SYS(sendmmsg),
        SCMP_SYS(ptrace),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(process_vm_writev),
        SCMP_SYS(mount),
        SCMP_SYS(umount2),
        SCMP_SYS(pivot_root),
        SCMP_SYS(chroot),
        SCMP_SYS(setns),
        SCMP_SYS(unshare),
        SCMP_SYS(bpf),
        SCMP_SYS(perf_event_open),
        SCMP_SYS(keyctl),
        SCMP_SYS(add_key),
        SCMP_SYS(request_key),
        SCMP_SYS(io_uring_setup),
        SCMP_SYS(userfaultfd),
        SCMP_SYS(init_module),
        SCMP_SYS(finit_module),
        SCMP_SYS(kexec_load),
        SCMP_SYS(reboot),
        SCMP_SYS(swapon),
        SCMP_SYS(swapoff),
        SCMP_SYS(open_by_handle_at),
        SCMP_SYS(unlink),
        SCMP_SYS(unlinkat),
        SCMP_SYS(rename),
        SCMP_SYS(renameat),
        SCMP_SYS(renameat2),
        SCMP_SYS(mkdir),
        SCMP_SYS(mkdirat),
        SCMP_SYS(link),
        SCMP_SYS(linkat),
        SCMP_SYS(symlink),
        SCMP_SYS(symlinkat),
        SCMP_SYS(truncate),
        SCMP_SYS(chmod),
        SCMP_SYS(fchmodat),
        SCMP_SYS(chown),
    };
    return filter_load(SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM), forbidden,
                       sizeof forbidden / sizeof *forbidden);
}

bool jail_close(void)
{
    static const int allowed[] = {
        SCMP_SYS(read),         SCMP_SYS(pread64),
        SCMP_SYS(write),        SCMP_SYS(writev),
        SCMP_SYS(lseek),        SCMP_SYS(close),
        SCMP_SYS(fstat),        SCMP_SYS(newfstatat),
        SCMP_SYS(mmap),         SCMP_SYS(munmap),
        SCMP_SYS(mremap),       SCMP_SYS(mprotect),
        SCMP_SYS(madvise),      SCMP_SYS(brk),
        SCMP_SYS(exit),         SCMP_SYS(exit_group),
        SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(futex),
        SCMP_SYS(getrandom),    SCMP_SYS(clock_gettime),
        SCMP_SYS(gettimeofday), SCMP_SYS(getpid),
        SCMP_SYS(gettid),       SCMP_SYS(tgkill),
        SCMP_SYS(sched_yield),  SCMP_SYS(restart_syscall),
    };
    return filter_load(SCMP_ACT_ERRNO(EPERM), SCMP_ACT_ALLOW, allowed,
                       sizeof allowed / sizeof *allowed);
}
