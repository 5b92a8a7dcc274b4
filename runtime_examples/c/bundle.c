/* See bundle.h. The format is specified in edgernn/bundle/README.md. */
#define _XOPEN_SOURCE 700
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const size_t SCHEMA_VERSION = 2; /* the newest: version 1 is read as well */

static bool read_manifest(struct bundle *bundle, struct bundle_error *error) {
    size_t length = 0;
    const char *why = NULL;
    struct stat seen;
    if (stat(bundle->folder, &seen) == 0 && S_ISREG(seen.st_mode)) {
        return fail(error, "%s is a file; expected a bundle folder; unpack it: unzip -q %s -d FOLDER",
                    bundle->folder, bundle->folder);
    }
    char *text = read_file(bundle, "manifest.json", &length, error);
    if (text == NULL) {
        return false;
    }
    bundle->manifest = json_parse(text, length, &why);
    free(text);
    if (bundle->manifest == NULL) {
        return fail(error, "%s/manifest.json is no JSON (%s); expected a manifest; export the bundle again",
                    bundle->folder, why);
    }
    const struct json *found = json_get(bundle->manifest, "schema_version");
    if (!json_whole(found, &bundle->version) || bundle->version < 1 || bundle->version > SCHEMA_VERSION) {
        double seen = found != NULL ? found->number : 0;
        return fail(error,
                    "manifest.json has schema_version %g, expected 1 or 2; export with a matching edgernn",
                    seen);
    }
    return true;
}

static bool verify_file(const struct bundle *bundle, const char *name, struct bundle_error *error) {
    size_t length = 0;
    char *content = name != NULL ? bundle_read(bundle, name, &length, error) : NULL;
    free(content);
    return content != NULL || (name == NULL && damaged("a file has no path inside the folder", error));
}

static bool verify(const struct bundle *bundle, struct bundle_error *error) {
    const struct json *files = json_get(bundle->manifest, "files");
    if (files == NULL || files->kind != JSON_OBJECT) {
        return damaged("it has no files", error);
    }
    for (const struct json *entry = files->first; entry != NULL; entry = entry->next) {
        const char *name = strlen(entry->key) == entry->key_length ? entry->key : NULL;
        if (!verify_file(bundle, name, error)) {
            return false;
        }
    }
    return verify_file(bundle, bundle->stepper.path, error) &&
           (!bundle->encodes || verify_file(bundle, bundle->encoder.path, error));
}

static bool no_artifact(const struct bundle *bundle, const char *of, const char *wanted,
                        struct bundle_error *error) {
    const struct json *list = json_get(bundle->manifest, "artifacts"), *seen = NULL;
    char there[512] = "";
    for (const struct json *entry = list != NULL ? list->first : NULL; entry != NULL; entry = entry->next) {
        const char *path = json_text(json_get(entry, "path"));
        if (same(entry, "format", "onnx") && same(entry, "graph", of) && path != NULL) {
            size_t used = strlen(there);
            snprintf(there + used, sizeof there - used, "%s%s", used > 0 ? ", " : "", path);
        }
        seen = wanted != NULL && same(entry, "path", wanted) ? entry : seen;
    }
    const char *format = json_text(json_get(seen, "format")), *graph = json_text(json_get(seen, "graph"));
    const char *name = wanted != NULL ? wanted : "to run",
               *list_of = *there != '\0' ? there : "(there is none)";
    if (seen != NULL) {
        return fail(error, "%s is of format %s and graph %s; expected an ONNX %s file; choose one of: %s",
                    name, format != NULL ? format : "?", graph != NULL ? graph : "?", of, list_of);
    }
    return fail(error, "the bundle has no artifact %s; expected an ONNX %s file; choose one of: %s", name, of,
                list_of);
}

/* Whether a version such as 1.22.1 is `least` or newer, number by number; what is left out is 0. */
static bool is_new_enough(const char *version, const char *least) {
    while (*version != '\0' || *least != '\0') {
        char *after_version = NULL, *after_least = NULL;
        unsigned long own = strtoul(version, &after_version, 10), needed = strtoul(least, &after_least, 10);
        if (own != needed) {
            return own > needed;
        }
        version = after_version + (*after_version == '.');
        least = after_least + (*after_least == '.');
        if (after_version == version && after_least == least) {
            return true; /* no number follows on either side, as in 1.23-dev */
        }
    }
    return true;
}

/* Read the lowest onnxruntime that runs an artifact; NULL where the manifest names none. */
static bool read_needed(const struct json *entry, const char **needed, struct bundle_error *error) {
    const struct json *requires = json_get(entry, "requires"), *found = json_get(requires, "onnxruntime");
    *needed = json_text(found);
    bool sound = requires == NULL || requires->kind == JSON_OBJECT;
    if (found != NULL) {
        sound =
            sound && *needed != NULL && **needed != '\0' && strspn(*needed, "0123456789.") == found->length;
    }
    return sound || damaged("an artifact requires what is no version", error);
}

/* Read what the golden run allows for an artifact. Before schema version 2 it has no tolerance of its own:
 * then it is the one that it was packed with, and forced where its numbers are no floats. */
static bool read_promise(struct artifact *artifact, struct bundle_error *error) {
    const struct json *own = json_get(artifact->entry, "tolerance"),
                      *forced = json_get(artifact->entry, "forced");
    const struct json *packed = json_get(json_get(artifact->entry, "parity"), "tolerance");
    const struct json *found = own != NULL && own->kind != JSON_NULL ? own : packed;
    const char *precision = json_text(json_get(artifact->entry, "precision"));
    bool sound = found == NULL || (found->kind == JSON_NUMBER && found->number >= 0);
    bool flagged = forced == NULL || forced->kind == JSON_FALSE || forced->kind == JSON_TRUE;
    if (!sound || !flagged || precision == NULL) {
        return damaged("an artifact has no precision, or a tolerance or forced that is none", error);
    }
    artifact->tolerance = found != NULL ? found->number : -1;
    artifact->forced =
        found == own ? forced != NULL && forced->kind == JSON_TRUE : strncmp(precision, "float", 5) != 0;
    return true;
}

/* Find the artifact of a graph: that at the path `wanted`, or the first that onnxruntime of this version
 * runs. */
static bool choose(const struct bundle *bundle, const char *graph, const char *wanted, const char *version,
                   struct artifact *artifact, struct bundle_error *error) {
    const struct json *list = json_get(bundle->manifest, "artifacts");
    const char *needed = NULL, *least = NULL;
    for (const struct json *entry = list != NULL ? list->first : NULL; entry != NULL; entry = entry->next) {
        bool fits = same(entry, "format", "onnx") && same(entry, "graph", graph);
        if (!fits || (wanted != NULL && !same(entry, "path", wanted))) {
            continue;
        }
        if (!read_needed(entry, &needed, error)) {
            return false;
        }
        if (needed == NULL || is_new_enough(version, needed)) {
            *artifact = (struct artifact){.entry = entry, .path = json_text(json_get(entry, "path"))};
            return artifact->path != NULL ? read_promise(artifact, error)
                                          : damaged("an artifact has no path", error);
        }
        least = least == NULL || !is_new_enough(needed, least) ? needed : least;
    }
    return least == NULL
               ? no_artifact(bundle, graph, wanted, error)
               : fail(error,
                      "%s needs onnxruntime %s or newer, this is %s; update it or choose another artifact",
                      wanted != NULL ? wanted : "every file of the bundle", least, version);
}

/* Refuse an artifact that changes dtypes or keeps the state, or takes another size than this example gives.
 */
static bool check_narrowing(const struct bundle *bundle, const struct artifact *artifact,
                            struct bundle_error *error) {
    const struct json *narrowing = json_get(artifact->entry, "narrowing"),
                      *axes = json_get(narrowing, "axes");
    const struct json *dtypes = json_get(narrowing, "dtypes"), *kept = json_get(narrowing, "runtime_state");
    if ((axes != NULL && axes->kind != JSON_OBJECT) || (dtypes != NULL && dtypes->kind != JSON_OBJECT)) {
        return damaged("an artifact has no narrowing", error);
    }
    if (dtypes != NULL && dtypes->first != NULL) {
        const char *dtype = json_text(dtypes->first);
        return fail(error, "%s has %s as %s; expected the contract's dtypes; choose another artifact",
                    artifact->path, dtypes->first->key, dtype != NULL ? dtype : "?");
    }
    if (kept != NULL && kept->kind != JSON_FALSE) {
        return fail(error,
                    "%s keeps the state itself; expected one that goes in and out; choose another artifact",
                    artifact->path);
    }
    for (const struct json *axis = axes != NULL ? axes->first : NULL; axis != NULL; axis = axis->next) {
        bool time = strcmp(axis->key, "time") == 0, batch = strcmp(axis->key, "batch") == 0;
        int64_t wanted = time ? bundle->step_frames : 1;
        size_t size = 0;
        if ((time || batch) && (!json_whole(axis, &size) || (int64_t)size != wanted)) {
            return fail(error, "%s takes another size along %s; expected %lld; choose another artifact",
                        artifact->path, axis->key, (long long)wanted);
        }
    }
    return true;
}

/* Find the files in use; those of encode are needed where the contract has it. */
static bool choose_files(struct bundle *bundle, const char *wanted, const char *version,
                         struct bundle_error *error) {
    const struct json *contract = json_get(bundle->manifest, "contract");
    bool chosen = choose(bundle, "step", wanted, version, &bundle->stepper, error) &&
                  check_narrowing(bundle, &bundle->stepper, error) &&
                  (!bundle->encodes || (choose(bundle, "encode", NULL, version, &bundle->encoder, error) &&
                                        check_narrowing(bundle, &bundle->encoder, error)));
    const struct json *narrowed = json_get(json_get(bundle->stepper.entry, "narrowing"), "axes");
    bundle->open_time =
        json_get(narrowed, "time") == NULL && json_get(json_get(contract, "sizes"), "time") == NULL;
    return chosen;
}

bool bundle_open(struct bundle *bundle, const char *folder, const char *artifact, const char *version,
                 struct bundle_error *error) {
    *bundle = (struct bundle){.folder = folder};
    return read_manifest(bundle, error) && read_contract(bundle, error) &&
           choose_files(bundle, artifact, version, error) && verify(bundle, error);
}

void bundle_close(struct bundle *bundle) {
    json_free(bundle->manifest);
    *bundle = (struct bundle){0};
}
