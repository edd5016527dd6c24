package testkit

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"
)

// Welch compares the times that two classes of work take, by Welch's t test. It calls sample n
// times with class 0 or 1 in random order, and sample returns how long its work took. Welch returns
// t, which is positive if class 0 takes longer, and the means in nanoseconds. It leaves out the
// slowest tenth of all samples, which contains interruptions by other processes.
func Welch(n int, sample func(class int) time.Duration) (score float64, mean [2]float64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var times [2][]float64
	for range n {
		class := rand.IntN(2)
		times[class] = append(times[class], float64(sample(class)))
	}
	all := slices.Concat(times[0], times[1])
	slices.Sort(all)
	limit := all[len(all)*9/10]
	var variance [2]float64
	for class, all := range times {
		kept := slices.DeleteFunc(all, func(took float64) bool { return took > limit })
		for _, took := range kept {
			mean[class] += took / float64(len(kept))
		}
		for _, took := range kept {
			variance[class] += (took - mean[class]) * (took - mean[class]) / float64(len(kept)-1)
		}
		variance[class] /= float64(len(kept))
	}
	return (mean[0] - mean[1]) / math.Sqrt(variance[0]+variance[1]), mean
}
