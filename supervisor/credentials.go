package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
)

// credentials are whom a process runs as.
type credentials struct {
	UID    int
	GID    int
	Groups []int    // supplementary, sorted; GID is in it
	Env    []string `json:"-"` // HOME, USER and LOGNAME, as K=V; none where the user stays the same
}

var errNotRoot = errors.New("only a stickyd that root has started can run workers as another user or group")

// lookupCredentials returns those that the settings name, nil for none. Without
// a user there are no supplementary groups: ours are root's.
func lookupCredentials(userName, group string) (*credentials, error) {
	if userName == "" && group == "" {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, errNotRoot
	}
	c := &credentials{UID: os.Getuid(), GID: -1}
	if userName != "" {
		if err := c.setUser(userName); err != nil {
			return nil, err
		}
	}
	if group != "" {
		if err := c.setGroup(group); err != nil {
			return nil, err
		}
	}
	if c.GID < 0 {
		return nil, fmt.Errorf("user %s has no entry in the user database, so no group of its own: give one as well", userName)
	}
	c.Groups = append(c.Groups, c.GID)
	slices.Sort(c.Groups)
	c.Groups = slices.Compact(c.Groups)
	return c, nil
}

// setUser fills in what the user database knows. A number that it does not know
// is fine, as in containers, some of which have no database.
func (c *credentials) setUser(name string) error {
	u, err := user.Lookup(name)
	uid, notNumber := strconv.ParseUint(name, 10, 31)
	if err != nil && notNumber == nil {
		u, err = user.LookupId(name)
		if unknown := user.UnknownUserIdError(0); errors.As(err, &unknown) || errors.Is(err, fs.ErrNotExist) {
			c.UID = int(uid)
			c.Env = []string{"HOME=/", "USER=" + name, "LOGNAME=" + name}
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("cannot run workers as user %s: %w", name, err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("cannot run workers as user %s: its groups: %w", name, err)
	}
	for _, g := range groups {
		gid, err := strconv.Atoi(g)
		if err != nil {
			return fmt.Errorf("cannot run workers as user %s: its group %s: %w", name, g, err)
		}
		c.Groups = append(c.Groups, gid)
	}
	c.UID, err = strconv.Atoi(u.Uid)
	if err == nil {
		c.GID, err = strconv.Atoi(u.Gid)
	}
	c.Env = []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username}
	return err
}

func (c *credentials) setGroup(name string) error {
	g, err := user.LookupGroup(name)
	gid, notNumber := strconv.ParseUint(name, 10, 31)
	switch {
	case err == nil:
		c.GID, err = strconv.Atoi(g.Gid)
		return err
	case notNumber == nil:
		c.GID = int(gid)
		return nil
	}
	return fmt.Errorf("cannot run workers in group %s: %w", name, err)
}

// assume makes this process run as c says, for good: groups first, since only
// root may set them.
func (c *credentials) assume() error {
	if err := syscall.Setgroups(c.Groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setgid(c.GID); err != nil {
		return fmt.Errorf("setgid: %w", err)
	}
	if err := syscall.Setuid(c.UID); err != nil {
		return fmt.Errorf("setuid: %w", err)
	}
	return c.verify()
}

// verify sees that nothing of what this process was is left, nor a way back.
func (c *credentials) verify() error {
	groups, err := syscall.Getgroups()
	if err != nil {
		return fmt.Errorf("getgroups: %w", err)
	}
	slices.Sort(groups)
	switch {
	case !slices.Equal(groups, c.Groups):
		return fmt.Errorf("the groups are %v, not %v", groups, c.Groups)
	case syscall.Getgid() != c.GID || syscall.Getegid() != c.GID:
		return fmt.Errorf("the group is %d, not %d", syscall.Getegid(), c.GID)
	case syscall.Getuid() != c.UID || syscall.Geteuid() != c.UID:
		return fmt.Errorf("the user is %d, not %d", syscall.Geteuid(), c.UID)
	case c.UID != 0 && syscall.Setuid(0) == nil:
		return errors.New("the process can become root again")
	}
	return nil
}
