/* bottleneck.h: what bottleneck.c attached, for the file that saves it. */
#ifndef ADAPT_BOTTLENECK_H
#define ADAPT_BOTTLENECK_H
#include "model/adapt/adapt_method.h"

struct bottleneck_net {
    struct adapt_layer down, up; /* NULL weights: none here */
};
struct bottleneck {
    enum op_act act;
    bool post_norm;
    struct bottleneck_net *attend, *ff, *sum; /* [layers] each */
};
#endif
