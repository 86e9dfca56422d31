/* clock.h: monotonic seconds, and the processor seconds this process has used. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
double clock_seconds(void);
double clock_cpu(void);
#endif
