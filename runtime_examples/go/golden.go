package edgernn

import (
	"fmt"
	"math"
	"slices"
)

const least = 1e-3 // a tensor smaller than this in every value is as good as zero

// Line says how far one tensor went from the recording, over all and, where it has any, at each step; a measure that is
// no number fails.
type Line struct {
	Name             string
	Worst, Tolerance float64
	Steps            []float64
}

// OK tells whether it is within the tolerance.
func (l Line) OK() bool {
	return l.Worst <= l.Tolerance
}

// Verdict says so in words; of one that failed, at which step it was off first, and how far.
func (l Line) Verdict() string {
	if l.OK() {
		return "ok"
	}
	first := slices.IndexFunc(l.Steps, func(apart float64) bool { return !(apart <= l.Tolerance) })
	if first < 0 {
		return "FAILED"
	}
	return fmt.Sprintf("FAILED: parts at step %d of 0 to %d by %.1e", first, len(l.Steps)-1, l.Steps[first])
}

// Golden is the bundle's recorded run. Where an output would make it too large, it has a few numbers of that instead:
// OUTPUT.columns and the values there, the largest values, and the log-sum.
type Golden struct {
	Steps    int
	model    *Model
	recorded Tensors
}

// NewGolden reads the recorded run of a model's bundle; it refuses one that is not of what was compiled.
func NewGolden(model *Model) (*Golden, error) {
	recorded, err := model.Bundle.Recorded()
	if err != nil {
		return nil, err
	}
	made, step := &Golden{0, model, recorded}, model.Bundle.Manifest.Contract.Step
	for _, spec := range slices.Concat(of(step.Inputs, "input"), of(step.Outputs, "state")) {
		if found, there := recorded[spec.Name]; there && len(found.Shape) > 0 {
			made.Steps = found.Shape[0]
			break
		}
	}
	if made.Steps < 1 {
		return nil, refuse("the golden run has no steps, expected one or more; export the bundle again")
	}
	for _, spec := range step.Inputs {
		if err := made.require(spec, spec.Role == "input"); err != nil {
			return nil, err
		}
	}
	for _, spec := range step.Outputs {
		check := made.require
		if made.short(spec) {
			check = made.requireParts
		}
		if err := check(spec, true); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// Inputs returns the fresh inputs of a step, and every context.
func (g *Golden) Inputs(index int) Tensors {
	made := Tensors{}
	for _, spec := range g.model.Bundle.Manifest.Contract.Step.Inputs {
		switch spec.Role {
		case "input":
			made[spec.Name] = g.row(spec.Name, spec.Name, index)
		case "context":
			made[spec.Name] = g.recorded[spec.Name]
		}
	}
	return made
}

// StateBefore returns the recorded state before a step.
func (g *Golden) StateBefore(index int) Tensors {
	made := Tensors{}
	for _, spec := range of(g.model.Bundle.Manifest.Contract.Step.Inputs, "state") {
		made[spec.Name] = g.recorded[spec.Name]
		if index > 0 {
			made[spec.Name] = g.row(spec.Name, nextName(spec.Name), index-1)
		}
	}
	return made
}

// Check runs the whole recording: a line for every output and state of step.
func (g *Golden) Check() ([]Line, error) {
	tolerance, forced, err := g.model.Artifact.promise()
	if err != nil {
		return nil, err
	}
	step := g.model.Bundle.Manifest.Contract.Step
	drifts, state := drifts{}, g.StateBefore(0)
	for index := range g.Steps {
		if forced {
			state = g.StateBefore(index)
		}
		outputs, next, err := g.model.Step(g.Inputs(index), state)
		if err != nil {
			return nil, err
		}
		for _, spec := range of(step.Outputs, "output") {
			g.addOutput(spec, outputs[spec.Name].Numbers(), index, &drifts)
		}
		for _, spec := range of(step.Inputs, "state") {
			g.addState(spec, next[spec.Name], index, forced, &drifts)
		}
		state = next
	}
	return drifts.lines(forced, tolerance), nil
}

func (g *Golden) short(spec TensorSpec) bool {
	_, whole := g.recorded[spec.Name]
	_, parts := g.recorded[spec.Name+".columns"]
	return spec.Role == "output" && !whole && parts
}

// addOutput compares what is recorded of an output.
func (g *Golden) addOutput(spec TensorSpec, values []float64, index int, into *drifts) {
	if !g.short(spec) {
		into.add(spec.Name, g.numbers(spec.Name, index), values)
		return
	}
	width := g.model.places[spec.Name].Shape[len(spec.Axes)-1]
	columns, ids := g.recorded[spec.Name+".columns"].Numbers(), g.numbers(spec.Name+".largest_ids", index)
	kept := len(ids) * width / len(values) // of each row
	var at, largest, sums []float64
	for row := range slices.Chunk(values, width) {
		for _, column := range columns {
			at = append(at, row[int(column)])
		}
		for _, id := range ids[:kept] {
			largest = append(largest, row[int(id)])
		}
		ids = ids[kept:]
		sum, top := 0.0, slices.Max(row)
		for _, value := range row {
			sum += math.Exp(value - top)
		}
		sum = top + math.Log(sum)
		if spec.Dtype != "float64" {
			sum = float64(float32(sum))
		}
		sums = append(sums, sum)
	}
	for _, part := range []struct {
		name  string
		found []float64
	}{{"at_columns", at}, {"largest", largest}, {"log_sum", sums}} {
		into.add(spec.Name+"."+part.name, g.numbers(spec.Name+"."+part.name, index), part.found)
	}
}

// addState compares a state, in a forced run each layer by itself: an error in one of three would be small in all of
// them together.
func (g *Golden) addState(spec TensorSpec, made Tensor, index int, forced bool, into *drifts) {
	name := nextName(spec.Name)
	expected, found := g.numbers(name, index), made.Numbers()
	axis := slices.Index(spec.Axes, layersAxis)
	if !forced || axis < 0 {
		into.add(name, expected, found)
		return
	}
	layers, inner := made.Shape[axis], 1
	for _, size := range made.Shape[axis+1:] {
		inner *= size
	}
	for layer := range layers {
		var one, other []float64
		for at := range found {
			if at/inner%layers == layer {
				one, other = append(one, expected[at]), append(other, found[at])
			}
		}
		into.add(fmt.Sprintf("%s[%d]", name, layer), one, other)
	}
}

func (g *Golden) row(spec, name string, index int) Tensor {
	all, shape := g.recorded[name], g.model.places[spec].Shape
	size := len(all.Bytes) / g.Steps
	return Tensor{all.Dtype, shape, all.Bytes[index*size : (index+1)*size]}
}

func (g *Golden) numbers(name string, index int) []float64 {
	all := g.recorded[name]
	size := len(all.Bytes) / g.Steps
	return Tensor{all.Dtype, nil, all.Bytes[index*size : (index+1)*size]}.Numbers()
}

func (g *Golden) require(spec TensorSpec, eachStep bool) error {
	wanted := g.model.places[spec.Name].Shape
	if eachStep {
		wanted = append([]int{g.Steps}, wanted...)
	}
	found, there := g.recorded[spec.Name]
	if !there || found.Dtype != spec.Dtype || !slices.Equal(found.Shape, wanted) {
		return refuse("the golden run has %s as %s %v, expected %s %v; export the bundle again",
			spec.Name, found.Dtype, found.Shape, spec.Dtype, wanted)
	}
	return nil
}

// requireParts makes sure that the parts of an output are of the shapes that belong together, and ids below its size.
func (g *Golden) requireParts(spec TensorSpec, _ bool) error {
	part := func(name string) Tensor { return g.recorded[spec.Name+"."+name] }
	whole := g.model.places[spec.Name].Shape
	before := append([]int{g.Steps}, whole[:len(whole)-1]...)
	columns, ids := part("columns"), part("largest_ids")
	kept := 0
	if len(ids.Shape) > 0 {
		kept = ids.Shape[len(ids.Shape)-1]
	}
	wide := func(last int) []int { return append(slices.Clone(before), last) }
	fits := kept > 0 && len(columns.Bytes) > 0 && columns.Dtype == "int64" && ids.Dtype == "int64"
	for name, shape := range map[string][]int{
		"at_columns": wide(len(columns.Numbers())), "log_sum": before, "largest_ids": wide(kept), "largest": wide(kept),
	} {
		fits = fits && slices.Equal(part(name).Shape, shape)
	}
	for _, id := range slices.Concat(columns.Numbers(), ids.Numbers()) {
		fits = fits && 0 <= id && id < float64(whole[len(whole)-1])
	}
	if !fits {
		return refuse("the golden run has parts of %s that do not fit it; export the bundle again", spec.Name)
	}
	return nil
}

// drifts has the differences of each tensor over a run, in the order in which they came.
type drifts struct {
	names []string
	of    map[string]*drift
}

type drift struct {
	largest float64
	rows    [][3]float64 // of a step: root mean squares, of the recording and of the difference; the largest difference
}

func (d *drifts) add(name string, expected, found []float64) {
	if d.of[name] == nil {
		d.names = append(d.names, name)
		if d.of == nil {
			d.of = map[string]*drift{}
		}
		d.of[name] = &drift{}
	}
	own, apart, most := d.of[name], make([]float64, len(found)), 0.0
	expected = slices.Clone(expected)
	for at := range found {
		apart[at] = expected[at] - found[at]
		if !finite(apart[at]) {
			apart[at] = math.Inf(1)
		}
		if !finite(expected[at]) {
			expected[at] = 0
		}
		own.largest = max(own.largest, math.Abs(expected[at]))
		most = max(most, math.Abs(apart[at]))
	}
	own.rows = append(own.rows, [3]float64{rootMeanSquare(expected), rootMeanSquare(apart), most})
}

func finite(value float64) bool {
	return math.Abs(value) <= math.MaxFloat64
}

func (d *drifts) lines(forced bool, tolerance float64) []Line {
	var made []Line
	for _, name := range d.names {
		own, sizes, steps := d.of[name], []float64{}, []float64{}
		for _, row := range own.rows {
			sizes = append(sizes, row[0])
		}
		for _, row := range own.rows {
			if forced {
				steps = append(steps, row[1]/max(row[0], rootMeanSquare(sizes), least))
			} else {
				steps = append(steps, row[2]/max(1, own.largest))
			}
		}
		made = append(made, Line{name, slices.Max(steps), tolerance, steps})
	}
	return made
}

func rootMeanSquare(values []float64) float64 {
	sum := 0.0
	for _, value := range values {
		sum += float64(value * value)
	}
	return math.Sqrt(sum / float64(max(1, len(values))))
}
