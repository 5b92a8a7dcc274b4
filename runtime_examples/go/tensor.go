package edgernn

import (
	"encoding/binary"
	"math"
	"slices"
)

const mostElements = 1 << 26 // far more than a step has: memory stays bounded

// widths has the bytes of a value of each dtype, as a contract spells it.
var widths = map[string]int{
	"bool": 1, "uint8": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "float16": 2, "float32": 4, "float64": 8,
}

// Tensor is dense and row-major; its bytes are little-endian.
type Tensor struct {
	Dtype string
	Shape []int
	Bytes []byte
}

// Tensors by the names that the contract gives them. A state is one of these, and a step changes none: keep it to
// go back, or go on from it twice.
type Tensors map[string]Tensor

// NewTensor returns a tensor of zeros.
func NewTensor(dtype string, shape ...int) (Tensor, error) {
	count, err := elementCount(shape)
	return Tensor{dtype, slices.Clone(shape), make([]byte, count*widths[dtype])}, err
}

// Int64s returns a tensor of ids.
func Int64s(values []int64, shape ...int) Tensor {
	bytes := make([]byte, 0, 8*len(values))
	for _, value := range values {
		bytes = binary.LittleEndian.AppendUint64(bytes, uint64(value))
	}
	return Tensor{"int64", shape, bytes}
}

// Numbers returns the values as numbers; true is 1.
func (t Tensor) Numbers() []float64 {
	width := max(1, widths[t.Dtype])
	made := make([]float64, len(t.Bytes)/width)
	for at := range made {
		made[at] = number(t.Dtype, t.Bytes[at*width:])
	}
	return made
}

func number(dtype string, bytes []byte) float64 {
	little := binary.LittleEndian
	switch dtype {
	case "bool", "uint8":
		return float64(bytes[0])
	case "int8":
		return float64(int8(bytes[0]))
	case "int16":
		return float64(int16(little.Uint16(bytes)))
	case "int32":
		return float64(int32(little.Uint32(bytes)))
	case "int64":
		return float64(int64(little.Uint64(bytes)))
	case "float16":
		return half(little.Uint16(bytes))
	case "float32":
		return float64(math.Float32frombits(little.Uint32(bytes)))
	}
	return math.Float64frombits(little.Uint64(bytes))
}

// half reads an IEEE 754 binary16.
func half(bits uint16) float64 {
	exponent, fraction, sign := int(bits>>10&0x1f), float64(bits&0x3ff), 1.0
	if bits&0x8000 != 0 {
		sign = -1
	}
	switch {
	case exponent == 0x1f && fraction > 0:
		return math.NaN()
	case exponent == 0x1f:
		return sign * math.Inf(1)
	case exponent == 0:
		return sign * math.Ldexp(fraction, -24)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// part returns the part of a tensor at an index, where it consists of parts of this shape.
func (t Tensor) part(shape []int, index int) (Tensor, error) {
	count, err := elementCount(shape)
	bytes := count * widths[t.Dtype]
	if err != nil || (index+1)*bytes > len(t.Bytes) {
		return t, refuse("%s %v has no part %d of the shape %v; export the bundle again", t.Dtype, t.Shape, index, shape)
	}
	return Tensor{t.Dtype, shape, t.Bytes[index*bytes : (index+1)*bytes]}, nil
}

// elementCount returns the number of elements of a shape; it refuses more than 2^26.
func elementCount(shape []int) (int, error) {
	count := 1.0 // which does not overflow
	for _, size := range shape {
		if size < 0 {
			count = math.Inf(1)
		}
		count *= float64(size)
	}
	if !(count <= mostElements) {
		return 0, refuse("a tensor has the shape %v, expected at most 2^26 elements; export the bundle again", shape)
	}
	return int(count), nil
}
