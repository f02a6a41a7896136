package harness

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Prepare writes the configuration of a gateway that is not running yet.
func Prepare(spec Spec) (*Gateway, error) {
	g := &Gateway{}
	var err error
	if g.bin, err = Binary(); err != nil {
		return nil, err
	}
	if g.PGAddr, err = freeAddr(); err == nil {
		g.mcpAddr, err = freeAddr()
	}
	if err == nil && spec.Web != nil {
		g.webAddr, err = freeAddr()
		g.WebURL = "http://" + g.webAddr
	}
	if err != nil {
		return nil, err
	}
	if g.Dir, err = os.MkdirTemp(spec.Dir, "sallyport-eval-"); err != nil {
		return nil, err
	}
	g.MCPURL = "http://" + g.mcpAddr + "/mcp"
	g.env = spec.Env
	return g, spec.write(g)
}

// Launch starts the gateway's process, the first or one after it ended, and does not wait for its doors. change, unless
// it is nil, may have it started in another way.
func (g *Gateway) Launch(change func(*exec.Cmd)) error {
	log, err := os.Create(filepath.Join(g.Dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(g.bin, "serve", "-c", g.Config())
	cmd.Dir, cmd.Stdout, cmd.Stderr = g.Dir, log, log
	cmd.Env = append(os.Environ(), g.env...)
	if change != nil {
		change(cmd)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	g.cmd, g.exited, g.PID = cmd, exited, cmd.Process.Pid
	go func() { cmd.Wait(); close(exited) }()
	return nil
}

// Config is the configuration file.
func (g *Gateway) Config() string { return filepath.Join(g.Dir, "sallyport.yaml") }

// Data is the data directory.
func (g *Gateway) Data() string { return filepath.Join(g.Dir, "data") }

// Ready waits until the doors accept connections. The error has the end of the log.
func (g *Gateway) Ready(ctx context.Context) error {
	for _, addr := range []string{g.PGAddr, g.mcpAddr, g.webAddr} {
		if addr == "" {
			continue
		}
		if err := g.ready(ctx, addr); err != nil {
			return err
		}
	}
	return nil
}

func (g *Gateway) ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-g.exited:
			return fmt.Errorf("sallyport serve ended: %s", g.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("the door at %s does not open: %w: %s", addr, err, g.LogTail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Alive says whether the process still runs.
func (g *Gateway) Alive() bool {
	if g.cmd == nil {
		return false
	}
	select {
	case <-g.exited:
		return false
	default:
		return true
	}
}

// Kill ends the process with SIGKILL, and returns when it has ended.
func (g *Gateway) Kill() {
	if g.cmd != nil {
		g.cmd.Process.Kill()
		<-g.exited
	}
}

// End ends the process as an operator does, by force if it takes longer than 15 s, and keeps its folder.
func (g *Gateway) End() {
	if g.cmd == nil {
		return
	}
	g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.exited:
	case <-time.After(15 * time.Second):
		fmt.Println("sallyport did not end within 15 s of SIGTERM: killed")
		g.Kill()
	}
}

// Stop is End, and deletes the folder.
func (g *Gateway) Stop() {
	g.End()
	os.RemoveAll(g.Dir)
}
