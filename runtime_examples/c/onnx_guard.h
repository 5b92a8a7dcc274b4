/* What an .onnx file may ask of the runtime, read as protocol-buffer fields before the runtime sees the file.
 *
 * Expected is a whole file of ONNX's own operators and two of onnxruntime's. Another file that holds weights,
 * operators of somebody else's and functions are refused by name, in every sub-graph and attribute. */
#ifndef ONNX_GUARD_H
#define ONNX_GUARD_H

#include <stddef.h>

#include "bundle_error.h"

/* Refuse a model that needs more than itself and the runtime, or that is none; `path` names it in the
 * message. */
bool refuse_foreign(const char *model, size_t length, const char *path, struct bundle_error *error);

#endif
