/* jail.h: the two system-call filters of a worker. False when the kernel or the library refuses. */
#ifndef KNOW_DOC_JAIL_H
#define KNOW_DOC_JAIL_H
#include <stdbool.h>

bool jail_tools(
    void); /* no network, tracing, mounts, keys, new privileges; inherited by the tool */
bool jail_close(void); /* memory and already open descriptors only; for good */
#endif
