/* train.h: front door of the training room, for the rooms of this floor that learn in other ways.
 *
 *     sample.h      rows of data, whatever their keys
 *     example.h     token ids with a mask of what is trained
 *     minibatch.h       rows of a forward; the order of a run
 *     optimizer.h   optimizers and schedules
 *     learner.h     an adapt with gradients, optimizer and runs
 *     checkpoint.h  the state of a run on disk
 *     loop.h         the loop with any loss */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H
#include "learn/train/minibatch.h"
#include "learn/train/checkpoint.h"
#include "learn/train/example.h"
#include "learn/train/loop.h"
#include "learn/train/learner.h"
#include "learn/train/optimizer.h"
#include "learn/train/sample.h"
#endif
