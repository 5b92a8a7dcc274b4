/* What bundle.c, files.c and contract.c have of one another. */
#ifndef PARTS_H
#define PARTS_H

#include "bundle.h"

/* Say that the manifest is damaged; always false. */
bool damaged(const char *what, struct bundle_error *error);

/* Whether a member of an object is this text. */
bool same(const struct json *object, const char *key, const char *text);

/* Read a file in the folder whole, whatever the manifest says of it; as bundle_read. */
char *read_file(const struct bundle *bundle, const char *name, size_t *length, struct bundle_error *error);

/* Read the tensors of the step graph. */
bool read_contract(struct bundle *bundle, struct bundle_error *error);

#endif
