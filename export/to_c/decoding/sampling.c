
/* Bins of scores, by how far they are below the best one. */
enum { BINS = 64, LANES = 16, FEW = 24 };

typedef struct {
    const float *logits;
    int32_t count;
    float best;
    double temperature;
    int32_t *weights;       /* 2^30 e^((x - best) / temperature) of each, in float32: off by 4e-6 of it */
    int fine;               /* whether weights are 2^43 of it, in float64, instead */
    int32_t *order, *next;  /* of each, one that is before it in its bin; -1 behind the first */
    int32_t last[BINS];     /* score in a bin, */
    int32_t held[BINS];     /* how many there are, */
    uint64_t sums[BINS];    /* and their weights together */
    int32_t full;           /* bins of which all scores are kept; of the next one the best are */
    uint64_t total;         /* the weights of all that are kept: no sum that is looked for is above it */
} ranking;

/* Whether a is chosen before b. */
static int is_before(const float *logits, int32_t a, int32_t b)
{
    const float x = logits[a], y = logits[b];
    return x > y || (x == y && a < b) || (x == x && y != y);
}

/* The best first: insertion where they are few, else heapsort (Williams 1964). */
static void sort(const float *logits, int32_t *order, int32_t count)
{
    int32_t start = count / 2, end = count, done = 1;
    for (; done < count; ++done) {
        const int32_t moved = order[done];
        int32_t place = done;
        if (count > FEW && is_before(logits, moved, order[done - 1])) { break; }
        for (; place > 0 && is_before(logits, moved, order[place - 1]); --place) {
            order[place] = order[place - 1];
        }
        order[place] = moved;
    }
    if (done >= count) { return; }
    while (end > 1) {
        int32_t moved, place;
        if (start > 0) {
            moved = order[--start];
        } else {
            moved = order[--end];
            order[end] = order[0];
        }
        for (place = start; 2 * place + 1 < end;) {
            int32_t child = 2 * place + 1;
            if (child + 1 < end && is_before(logits, order[child], order[child + 1])) { ++child; }
            if (!is_before(logits, moved, order[child])) { break; }
            order[place] = order[child];
            place = child;
        }
        order[place] = moved;
    }
}

/* The largest score, and the smallest of those above -3e38; NaN is passed over. */
static float range_of(const float *logits, int32_t count, float *least)
{
    const float low = -3.0e38f;
    float high[LANES], small[LANES], best, worst;
    int32_t i = 0;
    for (int r = 0; r < LANES; ++r) { high[r] = -FLT_MAX; small[r] = FLT_MAX; }
    for (; i + LANES <= count; i += LANES) {
        for (int r = 0; r < LANES; ++r) {
            const float x = logits[i + r], y = x > low ? x : FLT_MAX;
            high[r] = x > high[r] ? x : high[r];
            small[r] = y < small[r] ? y : small[r];
        }
    }
    best = high[0];
    worst = small[0];
    for (int r = 1; r < LANES; ++r) {
        best = high[r] > best ? high[r] : best;
        worst = small[r] < worst ? small[r] : worst;
    }
    for (; i < count; ++i) {
        const float x = logits[i];
        best = x > best ? x : best;
        worst = x > low && x < worst ? x : worst;
    }
    *least = worst < best ? worst : best;
    return best;
}

/* e^x of x <= 0, as of -30 where x is less; the polynomial of Cephes' expf, largest relative error 3e-7. */
static inline float quick_exp(float x)
{
    union { float number; uint32_t bits; } turned, scale;
    float k, p;
    x = -30.0f < x ? x : -30.0f;
    turned.number = x * 1.44269504f + 12582912.0f; /* the last bits are the nearest whole number */
    k = turned.number - 12582912.0f;
    scale.bits = (turned.bits + 127u) << 23;
    x = x - k * 0.693359375f;
    x = x - k * -2.12194440e-4f;
    p = 1.9875691500e-4f * x + 1.3981999507e-3f;
    p = p * x + 8.3334519073e-3f;
    p = p * x + 4.1665795894e-2f;
    p = p * x + 1.6666665459e-1f;
    p = p * x + 5.0000001201e-1f;
    return (p * x * x + x + 1.0f) * scale.number;
}

/* Weights, and bins of equal width from the best score down to one `most` temperatures below it. */
static void weigh(const float *restrict logits, int32_t count, float best, float inverse, float most,
                  int32_t *restrict weights, int32_t *restrict bins)
{
    const float scale = most > 1e-30f ? (BINS - 1) / most : 0.0f;
    for (int32_t i = 0; i < count; ++i) {
        const float below = (best - logits[i]) * inverse;
        weights[i] = (int32_t)(quick_exp(-below) * 1073741824.0f);
        bins[i] = (int32_t)((below < most ? below : most) * scale);
    }
}

/* What is 24 temperatures below the best score weighs nothing, and shares the last bin. Return 0 where
   float32 does not hold the numbers. */
static int fill(ranking *own, float least)
{
    const float range = own->best - least, inverse = (float)(1.0 / own->temperature);
    int32_t *const bins = own->next;
    if (!(range <= FLT_MAX && inverse >= FLT_MIN && inverse <= FLT_MAX)) { return 0; }
    weigh(own->logits, own->count, own->best, inverse, range * inverse < 24.0f ? range * inverse : 24.0f,
          own->weights, bins);
    for (int b = 0; b < BINS; ++b) { own->last[b] = -1; own->held[b] = 0; own->sums[b] = 0; }
    for (int32_t i = 0; i < own->count; ++i) {
        const int32_t bin = bins[i];
        own->next[i] = own->last[bin];
        own->last[bin] = i;
        own->held[bin] += 1;
        own->sums[bin] += (uint32_t)own->weights[i];
    }
    return 1;
}

static double exact_weight(const ranking *own, int32_t id)
{
    return net_text_exp(((double)own->logits[id] - (double)own->best) / own->temperature);
}

static uint64_t weight(const ranking *own, int32_t id)
{
    return own->fine ? (uint64_t)(exact_weight(own, id) * 8796093022208.0) : (uint32_t)own->weights[id];
}

static void refine(ranking *own)
{
    own->fine = 1;
    for (int b = 0; b < BINS; ++b) {
        own->sums[b] = 0;
        for (int32_t i = own->last[b]; i >= 0; i = own->next[i]) { own->sums[b] += weight(own, i); }
    }
}

/* Put the scores of a bin in order; return how many they are. */
static int32_t open_bin(const ranking *own, int32_t bin)
{
    int32_t place = own->held[bin];
    for (int32_t i = own->last[bin]; i >= 0; i = own->next[i]) { own->order[--place] = i; }
    sort(own->logits, own->order, own->held[bin]);
    return own->held[bin];
}

/* Keep the best `most` scores. */
static void keep(ranking *own, int32_t most)
{
    int32_t left = most;
    own->total = 0;
    for (own->full = 0; own->held[own->full] < left; ++own->full) {
        left -= own->held[own->full];
        own->total += own->sums[own->full];
    }
    if (left == own->held[own->full]) {
        own->total += own->sums[own->full];
        return;
    }
    open_bin(own, own->full);
    for (int32_t j = 0; j < left; ++j) { own->total += weight(own, own->order[j]); }
}

/* The first score whose sum of weights, its own among them, is above `target`, and that sum; -1 where
   the sum lies so close to it that the weights cannot tell. */
static int32_t find(const ranking *own, uint64_t target, uint64_t *sum)
{
    const uint64_t count64 = (uint64_t)own->count;
    const uint64_t close = own->fine ? ((own->total >> 50) + 4) * count64 : (own->total >> 16) + 2 * count64;
    uint64_t before = 0;
    for (int32_t bin = 0; bin <= own->full; ++bin) {
        if (bin < own->full && before + own->sums[bin] + close <= target) {
            before += own->sums[bin];
            continue;
        }
        for (int32_t j = 0, count = open_bin(own, bin); j < count; ++j) {
            before += weight(own, own->order[j]);
            if (before + close <= target) { continue; }
            *sum = before;
            return before > target + close ? own->order[j] : -1;
        }
    }
    return -1;
}

/* The same with every score in order and each sum in float64, one term after the other. */
static int32_t find_in_order(const ranking *own, int32_t most, double top_p, double uniform)
{
    double total = 0.0, sum = 0.0, whole = 1.0;
    int32_t kept = most, i;
    for (i = 0; i < own->count; ++i) { own->order[i] = i; }
    sort(own->logits, own->order, own->count);
    for (i = 0; i < most; ++i) { total += exact_weight(own, own->order[i]); }
    for (i = 0; top_p < 1.0 && i < kept; ++i) {
        sum += exact_weight(own, own->order[i]);
        if (sum / total >= top_p) {
            whole = sum / total;
            kept = i + 1;
        }
    }
    sum = 0.0;
    for (i = 0; i + 1 < kept; ++i) {
        sum += exact_weight(own, own->order[i]);
        if (sum / total / whole > uniform) { break; }
    }
    return own->order[i];
}

static int are_options(const net_text_options *options)
{
    return options->temperature >= 0.0 && options->temperature <= DBL_MAX && options->top_k >= 0 &&
           options->top_p > 0.0 && options->top_p <= 1.0;
}

int net_text_check(const net_text_options *options)
{
    if (!options) { return NET_TEXT_NULL; }
    return are_options(options) && options->length > 0 ? NET_TEXT_OK : NET_TEXT_OPTION;
}

/* Draw a score: by weights in float32, if they can tell, else in float64, else in order. */
static int32_t draw(ranking *own, float least, const net_text_options *options, double uniform)
{
    const int32_t most = options->top_k > 0 && options->top_k < own->count ? options->top_k : own->count;
    int32_t found = -1;
    own->fine = 0;
    if (fill(own, least)) {
        for (int tries = 0; found < 0 && tries < 2; ++tries) {
            uint64_t sum;
            if (tries > 0) { refine(own); }
            keep(own, most);
            sum = own->total;
            found = options->top_p < 1.0 ? find(own, (uint64_t)(options->top_p * (double)sum), &sum) : 0;
            if (found >= 0) { found = find(own, (uint64_t)(uniform * (double)sum), &sum); }
        }
    }
    return found < 0 ? find_in_order(own, most, options->top_p, uniform) : found;
}

int net_text_choose(const float *logits, int32_t count, const net_text_options *options, double uniform,
                    int32_t *weights, int32_t *order, int32_t *next, int32_t *token)
{
    ranking own;
    float least;
    int32_t found;
    if (!logits || !options || !weights || !order || !next || !token) { return NET_TEXT_NULL; }
    if (count < 1) { return NET_TEXT_RANGE; }
    if (!are_options(options) || !(uniform >= 0.0 && uniform < 1.0)) { return NET_TEXT_OPTION; }
    own.best = range_of(logits, count, &least);
    found = own.best > -FLT_MAX && options->temperature > 0.0 ? count - 1 : 0;
    while (found < count - 1 && logits[found] != own.best) { ++found; }
    if (own.best > FLT_MAX || !(own.best > -FLT_MAX || logits[found] == own.best)) { return NET_TEXT_LOGITS; }
    if (options->temperature > 0.0) {
        own.logits = logits;
        own.count = count;
        own.temperature = options->temperature;
        own.weights = weights;
        own.order = order;
        own.next = next;
        found = draw(&own, least, options, uniform);
    }
    *token = found;
    return NET_TEXT_OK;
}

/* SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). */
double net_text_uniform(uint64_t seed, uint64_t position)
{
    uint64_t z = seed + (position + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (double)((z ^ (z >> 31)) >> 11) * 1.1102230246251565e-16; /* 2^-53 */
}
