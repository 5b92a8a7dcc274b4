package edgernn

import (
	"math"
	"slices"
)

// Sampling says how a token is chosen.
type Sampling struct {
	Temperature float64 `json:"temperature"` // scores are divided by it; 0 takes the most probable token
	TopK        int     `json:"top_k"`       // the most probable tokens that are kept; 0 keeps all
	TopP        float64 `json:"top_p"`       // above 0: the fewest tokens with this probability; 1 keeps all
}

// Check refuses what is out of range.
func (s Sampling) Check() error {
	if !(s.Temperature >= 0 && s.Temperature <= math.MaxFloat64) {
		return refuse("temperature is %g, expected 0 (greedy) or more; change it", s.Temperature)
	}
	if s.TopK < 0 {
		return refuse("top-k is %d, expected 0 (all tokens) or more; change it", s.TopK)
	}
	if !(s.TopP > 0 && s.TopP <= 1) {
		return refuse("top-p is %g, expected above 0 and at most 1; 1 keeps all", s.TopP)
	}
	return nil
}

// Sample chooses a token id from the logits [V], minus infinity where a token must not come. The uniform number in
// [0, 1) decides; ties go to the lower id.
func Sample(logits []float32, sampling Sampling, uniform float64) (int, error) {
	best := 0
	for id, logit := range logits {
		if logit != logit || logit > math.MaxFloat32 {
			return 0, refuse("a score is %g, expected a number; replay the golden run with --check", logit)
		}
		if logit > logits[best] {
			best = id
		}
	}
	if len(logits) == 0 || logits[best] < -math.MaxFloat32 {
		return 0, refuse("every token is suppressed, expected at least one that may be written; export the bundle again")
	}
	if sampling.Temperature == 0 {
		return best, nil
	}
	order := make([]int, len(logits))
	for id := range order {
		order[id] = id
	}
	slices.SortStableFunc(order, func(one, other int) int {
		switch {
		case logits[one] > logits[other]:
			return -1
		case logits[one] < logits[other]:
			return 1
		}
		return 0
	})
	if sampling.TopK > 0 {
		order = order[:min(sampling.TopK, len(order))]
	}
	cumulative, total := make([]float64, len(order)), 0.0
	for at, id := range order {
		total += math.Exp((float64(logits[id]) - float64(logits[best])) / sampling.Temperature)
		cumulative[at] = total
	}
	divide(cumulative, total) // ends in exactly 1
	if sampling.TopP < 1 {
		kept := slices.IndexFunc(cumulative, func(part float64) bool { return part >= sampling.TopP }) + 1
		cumulative = cumulative[:kept]
		divide(cumulative, cumulative[kept-1])
	}
	chosen := slices.IndexFunc(cumulative, func(part float64) bool { return part > uniform })
	if chosen < 0 {
		chosen = len(cumulative) - 1
	}
	return order[chosen], nil
}

func divide(numbers []float64, by float64) {
	for at := range numbers {
		numbers[at] /= by
	}
}

// UniformAt returns the number in [0, 1) of a seed that decides the token at a position: SplitMix64 (Steele et al. 2014).
func UniformAt(seed, position uint64) float64 {
	z := seed + (position+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return float64((z^z>>31)>>11) / (1 << 53)
}

// Suppress makes ids impossible.
func Suppress(logits []float32, ids []int64) error {
	for _, id := range ids {
		if id < 0 || id >= int64(len(logits)) {
			return refuse("decoding.suppress names the id %d, expected 0 to %d; export the bundle again", id, len(logits)-1)
		}
		logits[id] = float32(math.Inf(-1))
	}
	return nil
}
