/* fuzz.h: what every fuzz target defines, and input as a file for readers that want a path. */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Path of a file in memory that holds the bytes until the next call; NULL when the system refuses.
 */
const char *fuzz_path(const uint8_t *data, size_t size);
/* Opens it as a model file and reads all that the view offers. */
void fuzz_model_file(const uint8_t *data, size_t size);
#endif
