/* See sampler.h. */
#include "sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PREFILL_STEPS = 256,
    MOST_LOGITS = 1 << 20
}; /* a longer prompt goes in as several calls, each of at most 4 MB of logits */

size_t prefill_width(const struct bundle *bundle) {
    size_t most = bundle->vocabulary < MOST_LOGITS ? MOST_LOGITS / bundle->vocabulary : 1;
    return !bundle->open_time ? 1 : most < PREFILL_STEPS ? most : PREFILL_STEPS;
}

static int by_logit(const void *left, const void *right) {
    const struct ranked *a = left, *b = right;
    if (a->logit != b->logit) {
        return a->logit > b->logit ? -1 : 1;
    }
    return a->id < b->id ? -1 : 1;
}

static size_t most_probable(const float *logits, size_t count) {
    size_t best = 0;
    for (size_t id = 1; id < count; id++) {
        best = logits[id] > logits[best] ? id : best;
    }
    return best;
}

size_t sample(const float *logits, size_t count, const struct options *options, double uniform,
              struct ranked *room) {
    if (options->temperature == 0) {
        return most_probable(logits, count);
    }
    for (size_t id = 0; id < count; id++) {
        room[id] = (struct ranked){.logit = isnan(logits[id]) ? -INFINITY : logits[id], .id = id};
    }
    qsort(room, count, sizeof *room, by_logit);
    size_t kept = options->top_k > 0 && options->top_k < count ? options->top_k : count;
    double total = 0;
    for (size_t i = 0; i < kept; i++) {
        total += exp((room[i].logit - room[0].logit) / options->temperature);
        room[i].cumulative = total;
    }
    for (size_t i = 0; options->top_p < 1 && i < kept; i++) {
        if (room[i].cumulative / total >= options->top_p) {
            kept = i + 1;
        }
    }
    double whole = room[kept - 1].cumulative / total;
    size_t chosen = 0;
    while (chosen + 1 < kept && room[chosen].cumulative / total / whole <= uniform) {
        chosen++;
    }
    return room[chosen].id;
}

/* Steele, Lea and Flood 2014. */
double uniform_at(uint64_t seed, uint64_t position) {
    uint64_t mixed = seed + (position + 1) * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return (double)((mixed ^ mixed >> 31) >> 11) * 0x1p-53;
}

/* What is alive while text is written. */
struct writing {
    int64_t *tokens; /* to feed */
    size_t count;
    char *ids, *scores, *state,
        *next; /* of one call: `width` ids in the dtype of the model, and its scores */
    size_t width;
    float *logits; /* [V], after the last token */
    struct ranked *room;
};

static bool in_list(const struct json *list, size_t token) {
    size_t id = 0;
    for (const struct json *item = list != NULL ? list->first : NULL; item != NULL; item = item->next) {
        if (json_whole(item, &id) && id == token) {
            return true;
        }
    }
    return false;
}

/* Take the tokens of the prompt, or where it is empty the start tokens of the bundle. */
static bool begin(const struct model *model, const char *prompt, struct writing *writing,
                  struct bundle_error *error) {
    const struct json *start = json_get(json_get(model->bundle.manifest, "decoding"), "start");
    size_t room = strlen(prompt) + (start != NULL ? start->length : 0) + 1;
    writing->tokens = calloc(room, sizeof *writing->tokens);
    if (writing->tokens == NULL) {
        return fail(error, "there is no memory for the prompt; expected some; give a shorter one");
    }
    if (!tokenizer_encode(&model->tokenizer, prompt, strlen(prompt), writing->tokens, &writing->count,
                          error)) {
        return false;
    }
    const struct json *item = writing->count == 0 && start != NULL ? start->first : NULL;
    for (; item != NULL; item = item->next) {
        size_t id = 0;
        if (!json_whole(item, &id) || id >= model->bundle.vocabulary) {
            return fail(error, "a start token in manifest.json is no id of the model; expected one; export "
                               "the bundle again");
        }
        writing->tokens[writing->count++] = (int64_t)id;
    }
    return writing->count > 0 ||
           fail(error, "there is nothing to begin with; expected a prompt or start tokens; give one");
}

/* Feed what is pending, `width` tokens at a time; the last row of the logits and the state after it stay. */
static bool prefill(struct model *model, struct writing *writing, struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    struct values values = {{NULL}, {NULL}};
    struct sizes sizes = sizes_of_one(bundle);
    values.input[bundle->ids - bundle->step.input] = writing->ids;
    values.output[bundle->scores - bundle->step.output] = writing->scores;
    size_t part = 0;
    for (size_t at = 0; at < writing->count; at += part) {
        part = writing->count - at < writing->width ? writing->count - at : writing->width;
        for (size_t i = 0; i < part; i++) {
            dtype_write(bundle->ids->dtype, writing->ids, i, (double)writing->tokens[at + i]);
        }
        sizes.of[TIME] = (int64_t)part;
        if (!model_step(model, &sizes, &values, writing->state, writing->next, error)) {
            return false;
        }
        char *used = writing->state;
        writing->state = writing->next;
        writing->next = used;
    }
    size_t last = tensor_values(bundle->scores, &sizes, NULL) - bundle->vocabulary;
    for (size_t id = 0; id < bundle->vocabulary; id++) {
        writing->logits[id] = (float)dtype_read(bundle->scores->dtype, writing->scores, last + id);
    }
    return true;
}

static bool write_on(struct model *model, struct writing *writing, const struct options *options, heard hear,
                     void *context, struct bundle_error *error) {
    const struct json *decoding = json_get(model->bundle.manifest, "decoding");
    size_t vocabulary = model->bundle.vocabulary, most = 0;
    const struct sizes sizes = sizes_of_one(&model->bundle);
    bool limited = json_whole(json_get(decoding, "length"), &most) && most > 0 && most < options->length;
    size_t length = limited ? most : options->length;
    struct values nothing = {{NULL}, {NULL}};
    if (!model_begin(model, &sizes, &nothing, writing->state, error)) {
        return false;
    }
    for (size_t written = 0; written < length; written++) {
        if (!prefill(model, writing, error)) {
            return false;
        }
        for (size_t id = 0; id < vocabulary; id++) {
            writing->logits[id] =
                in_list(json_get(decoding, "suppress"), id) ? -INFINITY : writing->logits[id];
        }
        size_t token =
            sample(writing->logits, vocabulary, options, uniform_at(options->seed, written), writing->room);
        hear(model, token, context);
        if (in_list(json_get(decoding, "stop"), token)) {
            break;
        }
        writing->tokens[0] = (int64_t)token;
        writing->count = 1;
    }
    return true;
}

/* Refuse a model that takes or gives more than text needs. */
static bool check_text(const struct bundle *bundle, struct bundle_error *error) {
    bool alone =
        bundle->ids != NULL && bundle->scores != NULL && !bundle->encodes && bundle->step_frames == 1;
    struct sizes sizes = sizes_of_one(bundle);
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        const struct tensor *tensor = &bundle->step.input[i];
        alone = alone && (tensor->role == STATE || tensor == bundle->ids);
    }
    alone = alone && tensor_values(bundle->ids, &sizes, NULL) == 1 &&
            tensor_values(bundle->scores, &sizes, NULL) == bundle->vocabulary;
    return alone || fail(error, "the step takes or gives something other than token ids, a state and their "
                                "logits; expected a model of "
                                "text alone; use another example, or --check");
}

/* Refuse an id to suppress that no token has. */
static bool check_suppressed(const struct bundle *bundle, struct bundle_error *error) {
    const struct json *list = json_get(json_get(bundle->manifest, "decoding"), "suppress");
    for (const struct json *item = list != NULL ? list->first : NULL; item != NULL; item = item->next) {
        size_t id = 0;
        if (!json_whole(item, &id) || id >= bundle->vocabulary) {
            return fail(error, "a suppressed token in manifest.json is no id of the model; expected one; "
                               "export the bundle again");
        }
    }
    return true;
}

static bool make_room(const struct bundle *bundle, struct writing *writing, struct bundle_error *error) {
    struct sizes sizes = sizes_of_one(bundle);
    size_t most = prefill_width(bundle), bytes = state_bytes(bundle, &sizes) + 8;
    writing->width = writing->count < most ? writing->count : most;
    writing->ids = calloc(writing->width, bundle->ids->dtype->width);
    writing->scores = calloc(writing->width, bundle->vocabulary * bundle->scores->dtype->width);
    writing->state = calloc(1, bytes);
    writing->next = calloc(1, bytes);
    writing->logits = calloc(bundle->vocabulary, sizeof(float));
    writing->room = calloc(bundle->vocabulary, sizeof(struct ranked));
    bool made = writing->ids != NULL && writing->scores != NULL && writing->state != NULL &&
                writing->next != NULL && writing->logits != NULL && writing->room != NULL;
    return made ||
           fail(error, "there is no memory for the logits of %zu tokens; expected some; shorten the prompt",
                writing->width);
}

bool generate(struct model *model, const char *prompt, const struct options *options, heard hear,
              void *context, struct bundle_error *error) {
    struct writing writing = {0};
    bool made = check_text(&model->bundle, error) && check_suppressed(&model->bundle, error) &&
                begin(model, prompt, &writing, error) && make_room(&model->bundle, &writing, error) &&
                write_on(model, &writing, options, hear, context, error);
    free(writing.tokens);
    free(writing.ids);
    free(writing.scores);
    free(writing.state);
    free(writing.next);
    free(writing.logits);
    free(writing.room);
    return made;
}
