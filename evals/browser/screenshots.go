package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// notForPictures are flows whose leavings would not look like anybody's day.
var notForPictures = []string{"attackers_text", "log_out", "session_ends", "replay", "provider_other_person", "provider_log_out"}

// tallest is the most of a page that a picture shows, in CSS pixels.
const tallest = 2400

var sizes = []struct {
	name          string
	width, height int64
	scale         float64
}{{"desktop", 1280, 900, 1}, {"phone", 390, 844, 2}}

// pictures takes each form of page once, as who sees it first, in both schemes and sizes. It gives how many were written.
func (w *world) pictures(dir string) (n int, err error) {
	taken := map[string]bool{}
	take := func(t *tab, name string) error {
		if taken[name] {
			return nil
		}
		taken[name] = true
		for _, scheme := range schemes {
			for _, size := range sizes {
				if err := t.scheme(scheme); err != nil {
					return err
				}
				opts := []chromedp.EmulateViewportOption{chromedp.EmulateScale(size.scale)}
				if size.name == "phone" {
					opts = append(opts, chromedp.EmulateMobile)
				}
				if err := chromedp.Do(t.ctx, chromedp.EmulateViewport(size.width, size.height, opts...)); err != nil {
					return err
				}
				data, err := t.picture(float64(size.width))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%s.png", name, size.name, scheme)), data, 0o644); err != nil {
					return err
				}
				n++
			}
		}
		return t.desktop()
	}
	t, err := w.tab()
	if err != nil {
		return n, err
	}
	defer t.cancel()
	if _, err := t.open("/login"); err != nil {
		return n, err
	}
	if err := take(t, "login"); err != nil {
		return n, err
	}
	// Requests as who decides sees them, all else as who sees the most.
	for _, name := range []string{"keeper", "auditor", "operator", "asker"} {
		if _, err := w.crawl(name, 1, func(t *tab, form, _ string) error {
			if name == "keeper" && !strings.HasPrefix(form, "/reviews") {
				return nil
			}
			return take(t, fileName(form))
		}); err != nil {
			return n, err
		}
	}
	return n, nil
}

// fileName is a form of page as the name of a file.
func fileName(form string) string {
	name := strings.Trim(strings.NewReplacer("/", "-", "{", "", "}", "", "?", "-by-", "&", "-").Replace(form), "-")
	if name == "" {
		return "first"
	}
	return name
}

func (t *tab) picture(width float64) ([]byte, error) {
	m, err := chromedp.Call(t.ctx, page.GetLayoutMetrics, cdp.Empty{})
	if err != nil {
		return nil, err
	}
	beyond := true
	shot, err := chromedp.Call(t.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond,
		Clip: &page.Viewport{Width: width, Height: min(m.CSSContentSize.Height, tallest), Scale: 1}})
	return shot.Data, err
}
