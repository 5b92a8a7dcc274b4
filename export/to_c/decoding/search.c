
enum { LANES = 8 };

/* ln of the sum of e^(x - best) over all scores; -1 where one is no finite number. The sum is at least 1. */
static double log_sum(const float *logits, double best)
{
    double sums[LANES], sum = 0.0, wrong = 0.0;
    int32_t i = 0;
    for (int r = 0; r < LANES; ++r) { sums[r] = 0.0; }
    for (; i + LANES <= NET_CAPTION_VOCABULARY; i += LANES) {
        for (int r = 0; r < LANES; ++r) { sums[r] += net_text_exp((double)logits[i + r] - best); }
    }
    for (; i < NET_CAPTION_VOCABULARY; ++i) { sum += net_text_exp((double)logits[i] - best); }
    for (int r = 0; r < LANES; ++r) { sum += sums[r]; }
    for (i = 0; i < NET_CAPTION_VOCABULARY; ++i) { wrong += (double)logits[i] - (double)logits[i]; }
    return wrong == 0.0 ? net_text_log(sum) : -1.0;
}

static float largest(const float *logits)
{
    float best = logits[0];
    for (int32_t i = 1; i < NET_CAPTION_VOCABULARY; ++i) { best = logits[i] > best ? logits[i] : best; }
    return best;
}

static int is_in(const int32_t *ids, int32_t count, int64_t token)
{
    for (int32_t i = 0; i < count; ++i) {
        if (ids[i] == token) { return 1; }
    }
    return 0;
}

/* Put the `most` best ids by score into beams[].best, the lower id first among equals; return how many
   they are. */
static int32_t rank(const float *logits, net_caption_beam *beams, int32_t most)
{
    int32_t count = 0;
    for (int32_t id = 0; id < NET_CAPTION_VOCABULARY; ++id) {
        int32_t place = count;
        if (count == most && !(logits[id] > logits[beams[most - 1].best])) { continue; }
        if (is_in(suppressed, SUPPRESSED, id)) { continue; }
        if (count < most) { ++count; } else { --place; }
        for (; place > 0 && logits[id] > logits[beams[place - 1].best]; --place) {
            beams[place].best = beams[place - 1].best;
        }
        beams[place].best = id;
    }
    return count;
}

/* Put an offer among the best ones: by sum, then by the lower id, then by the earlier beam, which is the
   one that offers first. */
static void offer(net_caption_beam *beams, int32_t *count, int32_t most, double sum, int32_t token,
                  int32_t row)
{
    int32_t place = *count;
    while (place > 0 && (sum > beams[place - 1].sum ||
                         (sum == beams[place - 1].sum && token < beams[place - 1].token))) {
        --place;
    }
    if (place == most) { return; }
    *count += *count < most;
    for (int32_t j = *count - 1; j > place; --j) {
        beams[j].sum = beams[j - 1].sum;
        beams[j].token = beams[j - 1].token;
        beams[j].row = beams[j - 1].row;
    }
    beams[place].sum = sum;
    beams[place].token = token;
    beams[place].row = row;
}

/* Equation 14 of Wu et al. 2016 (arXiv 1609.08144) without its coverage. */
static double score_of(double log_probability, int32_t counted, double normalisation)
{
    return log_probability * net_text_exp(normalisation * net_text_log(6.0 / (5.0 + counted)));
}

static void copy(net_caption *to, const net_caption *from)
{
    to->log_probability = from->log_probability;
    to->score = from->score;
    to->finished = from->finished;
    to->count = from->count;
    for (int32_t i = 0; i < from->count; ++i) { to->tokens[i] = from->tokens[i]; }
}

/* Put a sequence that ended among the best ones, behind those with the same score. */
static void end(net_caption *found, int32_t *count, const net_caption_options *options,
                const net_caption *written, double log_probability, int finished)
{
    const double score = score_of(log_probability, written->count + finished, options->normalisation);
    int32_t place = *count;
    while (place > 0 && score > found[place - 1].score) { --place; }
    if (place == options->width) { return; }
    *count += *count < options->width;
    for (int32_t j = *count - 1; j > place; --j) { copy(&found[j], &found[j - 1]); }
    copy(&found[place], written);
    found[place].log_probability = log_probability;
    found[place].score = score;
    found[place].finished = finished;
}

/* Take the best ways to go on over all beams; return how many beams do, -1 where a score is no finite
   number. */
static int32_t extend(net_caption_beam *beams, int32_t going, int side, const net_caption_options *options,
                      net_caption *found, int32_t *count)
{
    int32_t offers = 0, after = 0;
    for (int32_t row = 0; row < going; ++row) {
        const float *const logits = beams[row].logits;
        const double best = (double)largest(logits), sum = log_sum(logits, best);
        const double before = beams[row].sides[side].written.log_probability;
        const int32_t ranked = rank(logits, beams, options->width);
        if (sum < 0.0) { return -1; }
        for (int32_t j = 0; j < ranked; ++j) {
            const int32_t token = beams[j].best;
            const double log = ((double)logits[token] - best) - sum;
            offer(beams, &offers, options->width, before + log, token, row);
        }
    }
    for (int32_t j = 0; j < offers; ++j) {
        const net_caption *const from = &beams[beams[j].row].sides[side].written;
        net_caption *const to = &beams[after].sides[!side].written;
        if (is_in(stops, STOPS, beams[j].token)) {
            end(found, count, options, from, beams[j].sum, 1);
            continue;
        }
        copy(to, from);
        to->tokens[to->count++] = beams[j].token;
        to->log_probability = beams[j].sum;
        copy_state(&beams[after].sides[!side].state, &beams[beams[j].row].sides[side].state);
        ++after;
    }
    return after;
}

/* Whether what the beams can still become would not stand among what is found: a log-probability only
   falls, and the longest sequence divides it by most. */
static int is_settled(const net_caption_beam *beams, int32_t going, int side,
                      const net_caption_options *options, const net_caption *found, int32_t count)
{
    for (int32_t j = 0; j < going; ++j) {
        const double most = beams[j].sides[side].written.log_probability;
        if (count < options->width ||
            score_of(most, options->length + 1, options->normalisation) > found[count - 1].score) {
            return 0;
        }
    }
    return 1;
}

/* End the beams that have no token left: as finished where a stop token comes next. */
static int finish(net_caption_beam *beams, int32_t going, int side, const net_caption_options *options,
                 net_caption *found, int32_t *count)
{
    for (int32_t row = 0; row < going; ++row) {
        const float *const logits = beams[row].logits;
        const double best = (double)largest(logits), sum = log_sum(logits, best);
        const net_caption *const written = &beams[row].sides[side].written;
        const int32_t ranked = rank(logits, beams, 1), token = beams[0].best;
        const int ends = ranked && is_in(stops, STOPS, token);
        if (sum < 0.0) { return NET_CAPTION_LOGITS; }
        end(found, count, options, written,
            written->log_probability + (ends ? ((double)logits[token] - best) - sum : 0.0), ends);
    }
    return NET_CAPTION_OK;
}

int net_caption_search(const net_caption_seen *seen, const net_caption_options *options,
                       net_caption_beam *beams, net_caption *found, int32_t *count)
{
    int32_t going = 1, ended = 0;
    int side = 0, code = NET_CAPTION_OK;
    if (!seen || !options || !beams || !found || !count) { return NET_CAPTION_NULL; }
    if (options->width < 1 || options->length < 1 || options->length > NET_CAPTION_LENGTH ||
        !(options->normalisation >= 0.0 && options->normalisation <= DBL_MAX)) {
        return NET_CAPTION_OPTION;
    }
    copy_state(&beams[0].sides[0].state, &seen->state);
    beams[0].sides[0].written.count = 0;
    beams[0].sides[0].written.log_probability = 0.0;
    beams[0].sides[0].written.score = 0.0;
    beams[0].sides[0].written.finished = 0;
    for (int32_t i = 0; !code && i < START; ++i) { code = take(seen, starts[i], &beams[0], 0); }
    for (int32_t n = 0; !code && n < options->length; ++n) {
        going = extend(beams, going, side, options, found, &ended);
        side = !side;
        if (going < 0) { return NET_CAPTION_LOGITS; }
        if (is_settled(beams, going, side, options, found, ended)) { going = 0; break; }
        for (int32_t j = 0; !code && j < going; ++j) {
            const net_caption *const own = &beams[j].sides[side].written;
            code = take(seen, own->tokens[own->count - 1], &beams[j], side);
        }
    }
    if (!code) { code = finish(beams, going, side, options, found, &ended); }
    if (!code && !ended) { code = NET_CAPTION_LOGITS; }
    if (!code) { *count = ended; }
    return code;
}
