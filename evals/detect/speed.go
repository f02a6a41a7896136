package detect

import (
	"strings"
	"syscall"

	"sallyport/evals/results"
	"sallyport/mask"
)

// speed reads the same text again and again on one core.
func speed(docs []document) []results.Figure {
	var marked strings.Builder
	for _, d := range docs {
		if len(d.spans) > 0 {
			marked.WriteString(d.text + "\n")
		}
	}
	out := make([]results.Figure, 0, 3)
	for _, t := range []struct{ name, text, note string }{
		{"clean", "The parcel was left with a neighbour on Tuesday; please confirm the delivery and close the ticket. ", "English prose without personal data"},
		{"numbers", "2026-05-06 10:11:12.123456+00,8812345,199.99,sku-77123,9f86d081884c7d65,ok 200 in 35 ms\n", "times, counters and digests that are nobody's"},
		{"dense", marked.String(), "the texts of pii/synth_dev.json that have marked spans"},
	} {
		text := []byte(strings.Repeat(t.text, 1+(1<<20)/len(t.text)))
		f := results.Median("detect."+t.name+".speed", "MB/s", rounds(text))
		f.Note = "by processor time of one core; " + t.note
		out = append(out, f)
	}
	return out
}

// rounds measures by the processor time of the process: others' work on the machine is not the detectors' time.
func rounds(text []byte) []float64 {
	d := mask.NewDetector()
	dst := make([]byte, 0, 2*len(text))
	var speeds []float64
	for range 9 {
		bytes, start, spent := 0, processor(), 0.0
		for ; spent < 0.2; spent = processor() - start {
			d.Redact(dst[:0], text)
			bytes += len(text)
		}
		speeds = append(speeds, float64(bytes)/1e6/spent)
	}
	return speeds
}

// processor is how many seconds of processor time this process has had.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
