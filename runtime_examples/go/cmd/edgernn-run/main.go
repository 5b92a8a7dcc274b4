// Edgernn-run writes text from the bundle whose C it was compiled with, checks this device with it, or times a step.
// Results go to stdout; exit 0 done, 1 the check failed, 2 bad input, told in one line on stderr.
package main

import (
	"bufio"
	"encoding/json/v2"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"edgernn"
	"edgernn/network"
)

const usage = "edgernn-run BUNDLE [--prompt TEXT] [--length N] [--temperature T] [--top-k K] [--top-p P] [--seed S] " +
	"[--json] | --check | --time N, each with [--artifact PATH]"
const warmUpSteps = 20

// given has the flags as they were written.
type given struct {
	bundle      string
	values      map[string]string
	check, json bool
}

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: "+strings.Join(strings.Fields(err.Error()), " "))
		code = 2
	}
	os.Exit(code)
}

func run(words []string) (int, error) {
	flags, err := read(words)
	if err != nil {
		return 0, err
	}
	steps, err := flags.whole("time", 0, 1)
	if err != nil {
		return 0, err
	}
	options, err := flags.options(edgernn.Sampling{TopP: 1}) // a bad flag is told before anything is read
	if err != nil {
		return 0, err
	}
	model, err := edgernn.Load(flags.bundle, flags.values["artifact"], network.Compiled())
	if err != nil {
		return 0, err
	}
	switch {
	case flags.check:
		return check(model)
	case steps > 0:
		return 0, timeSteps(model, int(steps))
	}
	if options, err = flags.options(model.Bundle.Manifest.Decoding.Sampling); err != nil {
		return 0, err
	}
	return 0, write(model, flags, options)
}

func read(words []string) (given, error) {
	made := given{values: map[string]string{}}
	known := []string{"prompt", "length", "temperature", "top-k", "top-p", "seed", "artifact", "time"}
	for at := 0; at < len(words); at++ {
		name, value, has := strings.Cut(strings.TrimPrefix(words[at], "--"), "=")
		switch {
		case !strings.HasPrefix(words[at], "--") && made.bundle == "":
			made.bundle = words[at]
		case words[at] == "--check":
			made.check = true
		case words[at] == "--json":
			made.json = true
		case !strings.HasPrefix(words[at], "--") || !slices.Contains(known, name):
			return made, fmt.Errorf("the argument %s is unknown, expected: %s", words[at], usage)
		case has:
			made.values[name] = value
		case at+1 == len(words):
			return made, fmt.Errorf("%s has no value, expected one; use: %s", words[at], usage)
		default:
			at++
			made.values[name] = words[at]
		}
	}
	if made.bundle == "" {
		return made, fmt.Errorf("no bundle was given, expected one; use: %s", usage)
	}
	return made, nil
}

// whole reads a flag that is a whole number.
func (g given) whole(name string, otherwise, least uint64) (uint64, error) {
	text, there := g.values[name]
	if !there {
		return otherwise, nil
	}
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil || value < least || (name != "seed" && value > math.MaxInt32) {
		most := uint64(math.MaxInt32)
		if name == "seed" {
			most = math.MaxUint64
		}
		return 0, fmt.Errorf("%s is %q, expected a whole number of %d to %d; change it", name, text, least, most)
	}
	return value, nil
}

func (g given) real(name string, otherwise float64) (float64, error) {
	text, there := g.values[name]
	if !there {
		return otherwise, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(math.Abs(value) <= math.MaxFloat64) {
		return 0, fmt.Errorf("%s is %q, expected a number; change it", name, text)
	}
	return value, nil
}

func (g given) options(own edgernn.Sampling) (made edgernn.Options, err error) {
	var length, topK uint64
	made.Sampling = own
	if length, err = g.whole("length", 200, 0); err != nil {
		return made, err
	}
	if made.Seed, err = g.whole("seed", 0, 0); err != nil {
		return made, err
	}
	if topK, err = g.whole("top-k", uint64(own.TopK), 0); err != nil {
		return made, err
	}
	if made.Temperature, err = g.real("temperature", own.Temperature); err != nil {
		return made, err
	}
	if made.TopP, err = g.real("top-p", own.TopP); err != nil {
		return made, err
	}
	made.Length, made.TopK = int(length), int(topK)
	return made, made.Sampling.Check()
}

func check(model *edgernn.Model) (int, error) {
	var lines []edgernn.Line
	recorded := model.Bundle.Manifest.Golden != ""
	if recorded {
		golden, err := edgernn.NewGolden(model)
		if err != nil {
			return 0, err
		}
		if lines, err = golden.Check(); err != nil {
			return 0, err
		}
	}
	vectors, err := edgernn.CheckSampler(model.Bundle)
	if err != nil {
		return 0, err
	}
	lines = append(lines, vectors...)
	if model.Bundle.Manifest.Tokenizer != nil {
		if _, err := edgernn.NewTokenizer(model.Bundle); err != nil { // refuses another one
			return 0, err
		}
		lines = append(lines, edgernn.Line{Name: "tokenizer"})
	}
	if !recorded {
		fmt.Println("golden           - 0 not run; the bundle has no recorded run")
	}
	code := 0
	for _, line := range lines {
		if !line.OK() {
			code = 1
		}
		fmt.Printf("%-16s %.1e %g %s\n", line.Name, line.Worst, line.Tolerance, line.Verdict())
	}
	return code, nil
}

// timeSteps prints the median time of a step in µs, over the recorded inputs, each step on the last one's state.
func timeSteps(model *edgernn.Model, count int) error {
	golden, err := edgernn.NewGolden(model)
	if err != nil {
		return err
	}
	inputs := make([]edgernn.Tensors, golden.Steps)
	for at := range inputs {
		inputs[at] = golden.Inputs(at)
	}
	state, times := golden.StateBefore(0), []float64{}
	for at := range warmUpSteps + count {
		from := time.Now()
		if _, state, err = model.Step(inputs[at%golden.Steps], state); err != nil {
			return err
		}
		if at >= warmUpSteps {
			times = append(times, float64(time.Since(from).Nanoseconds())/1000)
		}
	}
	slices.Sort(times)
	return printJSON(struct {
		Artifact string  `json:"artifact"`
		Steps    int     `json:"steps"`
		Median   float64 `json:"median_us"`
	}{model.Artifact.Path, count, times[count/2]})
}

func write(model *edgernn.Model, flags given, options edgernn.Options) error {
	tokenizer, err := edgernn.NewTokenizer(model.Bundle)
	if err != nil {
		return err
	}
	prompt := flags.values["prompt"]
	writing, err := model.Generate(tokenizer, prompt, options)
	if err != nil {
		return err
	}
	out, stream := bufio.NewWriter(os.Stdout), edgernn.NewTextStream(tokenizer)
	show := func(ids ...int64) error {
		for _, id := range ids {
			piece, err := stream.Push(id)
			if err != nil {
				return err
			}
			out.WriteString(piece)
		}
		return out.Flush()
	}
	ids, err := tokenizer.Encode(prompt)
	if err == nil && !flags.json {
		err = show(ids...) // as the model reads it
	}
	tokens := []int64{}
	for err == nil {
		token, more, failed := writing.Next()
		if !more {
			err = failed
			break
		}
		tokens = append(tokens, token)
		if !flags.json {
			err = show(token)
		}
	}
	if err != nil {
		return err
	}
	if !flags.json {
		fmt.Println(stream.Flush())
		return nil
	}
	text, err := tokenizer.Decode(tokens)
	if err != nil {
		return err
	}
	return printJSON(struct {
		Artifact string  `json:"artifact"`
		Tokens   []int64 `json:"tokens"`
		Text     string  `json:"text"`
	}{model.Artifact.Path, tokens, text})
}

func printJSON(record any) error {
	line, err := json.Marshal(record)
	if err == nil {
		_, err = fmt.Println(string(line))
	}
	return err
}
