/* The recorded run on this machine, compared as the bundle format says. The file is little-endian, and so is the machine. */
#include "replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The differences of one tensor, or of one layer of a state, over a run. */
typedef struct {
    double largest, squares;
    double *sizes, *apart; /* of each step: the root mean square of the recording, and how far it is off: where steps are
                              forced that of the difference, else the largest; infinite where a value is not finite */
} drift;

static double value_of(const char *dtype, const unsigned char *at)
{
    union { float float32; int64_t int64; int32_t int32; } value;
    if (strcmp(dtype, "float32") == 0) { return memcpy(&value, at, 4), value.float32; }
    if (strcmp(dtype, "int64") == 0) { return memcpy(&value, at, 8), (double)value.int64; }
    if (strcmp(dtype, "int32") == 0) { return memcpy(&value, at, 4), value.int32; }
    return strcmp(dtype, "int8") == 0 ? (double)*(const int8_t *)at : (double)*at;
}

/* What is recorded at a step of element `i` of the network's. */
static const unsigned char *recorded_at(const network_tensor *own, const recorded_tensor *row,
                                        const unsigned char *golden, uint32_t step, uint32_t i)
{
    const size_t begin = row->times == 1 ? 0 : (size_t)own->count / row->streams * step;
    const size_t at = begin + i / (row->streams * row->after) * row->after + i % row->after;
    return golden + row->offset + at * own->width;
}

/* Puts what is given at a step into the block; of a forced step the state that was recorded after the one before. */
static void give(const network *net, const recording *run, const unsigned char *golden, uint32_t step, int forced,
                 void *block)
{
    for (uint32_t i = 0; i < run->tensors; ++i) {
        const recorded_tensor *row = &run->table[i];
        const network_tensor *own = &net->table[row->tensor];
        const int first = !row->made && (own->role == NETWORK_INPUT || step == 0);
        const int next = forced && step > 0 && row->made && own->role == NETWORK_STATE;
        if (first || next) {
            unsigned char *into = (unsigned char *)block + own->offset;
            for (uint32_t at = 0; at < own->count; ++at, into += own->width) {
                memcpy(into, recorded_at(own, row, golden, next ? step - 1 : step, at), own->width);
            }
        }
    }
}

/* Compares a tensor at a step; of several `layers` the one of that number. */
static void compare(drift *own, const network_tensor *tensor, const recorded_tensor *row, uint32_t layers,
                    uint32_t layer, const unsigned char *golden, const unsigned char *made, uint32_t step, int forced)
{
    double size = 0.0, squares = 0.0, largest = 0.0;
    uint32_t count = 0;
    int finite = 1;
    for (uint32_t i = 0; i < tensor->count; ++i) {
        if (layers > 1 && i / row->inner % layers != layer) { continue; }
        double wanted = value_of(tensor->dtype, recorded_at(tensor, row, golden, step, i));
        const double off = wanted - value_of(tensor->dtype, made + (size_t)i * tensor->width);
        wanted = isfinite(wanted) ? wanted : 0.0;
        finite = finite && isfinite(off);
        own->largest = fmax(own->largest, fabs(wanted));
        largest = fmax(largest, fabs(off));
        size += wanted * wanted;
        squares += off * off;
        ++count;
    }
    own->sizes[step] = sqrt(size / count);
    own->apart[step] = !finite ? INFINITY : forced ? sqrt(squares / count) : largest;
    own->squares += size / count;
}

/* How far it is off at a step, as the manifest judges it. */
static double off_at(const drift *own, const recording *run, uint32_t step)
{
    if (!run->forced) { return own->apart[step] / fmax(1.0, own->largest); }
    /* a tensor that is smaller than 1e-3 in every value is as good as zero */
    const double over_run = fmax(1e-3, sqrt(own->squares / run->steps));
    return own->apart[step] / fmax(own->sizes[step], over_run);
}

/* Prints how far it is off, and of one that failed at which step it was first. Returns whether it failed. */
static int print_row(const drift *own, const recording *run)
{
    double worst = 0.0;
    uint32_t first = run->steps;
    for (uint32_t i = 0; i < run->steps; ++i) {
        worst = fmax(worst, off_at(own, run, i));
        first = first == run->steps && off_at(own, run, i) > run->tolerance ? i : first;
    }
    printf(" %.1e %g %s", worst, run->tolerance, first < run->steps ? "FAILED" : "ok");
    if (first < run->steps) {
        printf(": parts at step %u of 0 to %u by %.1e", first, run->steps - 1, off_at(own, run, first));
    }
    printf("\n");
    return first < run->steps;
}

/* Of each row, its first drift: one for each layer where steps are forced. Returns how many there are. */
static uint32_t drifts_of(const recording *run, uint32_t *first)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < run->tensors; ++i) {
        first[i] = count;
        count += !run->table[i].made ? 0 : run->forced ? run->table[i].layers : 1;
    }
    first[run->tensors] = count;
    return count;
}

static int print(const recording *run, const uint32_t *first, const drift *drifts)
{
    int failed = 0;
    for (uint32_t i = 0; i < run->tensors; ++i) {
        for (uint32_t at = first[i]; at < first[i + 1]; ++at) {
            printf("%s", run->table[i].name);
            if (first[i + 1] - first[i] > 1) { printf("[%u]", at - first[i]); }
            failed += print_row(&drifts[at], run);
        }
    }
    return failed;
}

static int run_all(const network *net, const recording *run, const unsigned char *golden, void *block,
                   const uint32_t *first, drift *drifts)
{
    for (uint32_t step = 0; step < run->steps; ++step) {
        give(net, run, golden, step, run->forced, block);
        if (net->step(block) != 0) { return -1; }
        for (uint32_t i = 0; i < run->tensors; ++i) {
            const network_tensor *own = &net->table[run->table[i].tensor];
            for (uint32_t at = first[i]; at < first[i + 1]; ++at) {
                compare(&drifts[at], own, &run->table[i], first[i + 1] - first[i], at - first[i], golden,
                        (const unsigned char *)block + own->offset, step, run->forced);
            }
        }
    }
    return print(run, first, drifts);
}

int replay(const network *net, const recording *run, const unsigned char *golden, void *block)
{
    uint32_t *first = malloc((run->tensors + 1) * sizeof *first);
    const uint32_t count = first ? drifts_of(run, first) : 0;
    drift *drifts = calloc(count + 1, sizeof *drifts);
    double *rows = malloc(((size_t)count * 2 * run->steps + 1) * sizeof *rows);
    int failed = -2;
    if (first && drifts && rows) {
        for (uint32_t i = 0; i < count; ++i) {
            drifts[i].sizes = rows + (size_t)i * 2 * run->steps;
            drifts[i].apart = drifts[i].sizes + run->steps;
        }
        failed = run_all(net, run, golden, block, first, drifts);
    }
    free(first);
    free(drifts);
    free(rows);
    return failed;
}
