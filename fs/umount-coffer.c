/* SPDX-License-Identifier: Apache-2.0 */
/*
 * umount.fuse.coffer: what umount(8) runs for an archive. The kernel's umount is over before the
 * daemon is: this one returns once the last checkpoint is signed, everything is on disk and the
 * archive's lock is free, so that whoever unmounts may copy the store or cut the power.
 *
 * It unmounts by the system call, so umount(8) and this never call one another.
 */
#include "fs/mount/point.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/time.h>

/* Exit codes of mount(8). */
enum { EXIT_DONE = 0, EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_UMOUNT = 32 };

struct arguments {
	bool force, lazy, read_only, verbose;
};

static const char help[] =
    "usage: umount.fuse.coffer MOUNTPOINT [-flnrv] [-t TYPE]\n"
    "Unmounts an archive and waits until its daemon has closed it. People use: umount MOUNTPOINT\n"
    "\n"
    "  -f   aborts what is under way and unmounts, though files are open\n"
    "  -l   detaches the name at once and does not wait; the daemon goes on while files are open\n"
    "  -r   makes the mount read-only where it cannot be unmounted\n"
    "  -v   says what was done\n"
    "  -n   accepted, means nothing here\n";

static void on_alarm(int sig)
{
	(void)sig; /* only ends the wait for the lock, for a look around */
}

/* ---- mounts of the same archive that other mount namespaces have ---- */

static bool same_namespace(const char *pid)
{
	char path[64], theirs[64] = "", ours[64] = "";

	snprintf(path, sizeof(path), "/proc/%.20s/ns/mnt", pid);
	return readlink(path, theirs, sizeof(theirs) - 1) > 0 &&
	       readlink("/proc/self/ns/mnt", ours, sizeof(ours) - 1) > 0 && !strcmp(theirs, ours);
}

static bool process_has(const char *pid, const struct cof_mountinfo *info)
{
	struct cof_mountinfo found;
	char path[64];
	bool has;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/mountinfo", pid);
	f = fopen(path, "re");
	if (!f)
		return false; /* ended meanwhile */
	has = cof_mountinfo_device(f, info->major, info->minor, &found) == 0 &&
	      strcmp(found.source, info->source) == 0;
	(void)fclose(f);
	return has;
}

/* A process whose mount namespace still has this mount: the daemon serves it. 0: none. */
static long find_user(const struct cof_mountinfo *info)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	long pid = 0;

	while (proc && !pid && (entry = readdir(proc)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    !same_namespace(entry->d_name) && process_has(entry->d_name, info))
			pid = strtol(entry->d_name, NULL, 10);
	if (proc)
		(void)closedir(proc);
	return pid;
}

/* ---- the end of the daemon ---- */

/* The lock is the daemon's as long as it has anything left to do with the store. */
static int open_lock(const char *store)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/lock", store);
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

static void look_in(unsigned seconds)
{
	struct itimerval t = {.it_value = {.tv_sec = seconds}};

	(void)setitimer(ITIMER_REAL, &t, NULL);
}

static int wait_for_daemon(int lock, const struct cof_mountinfo *info)
{
	struct sigaction act = {.sa_handler = on_alarm}; /* no SA_RESTART: flock ends */
	unsigned seconds = 1;
	long pid;

	sigemptyset(&act.sa_mask);
	if (sigaction(SIGALRM, &act, NULL) < 0)
		return -errno;
	for (;;) {
		look_in(seconds);
		if (flock(lock, LOCK_SH) == 0)
			return 0;
		if (errno != EINTR)
			return -errno;
		pid = find_user(info);
		if (pid) {
			dprintf(STDERR_FILENO,
				"umount: %s is unmounted here, but process %ld has it in a mount "
				"namespace of its own: the daemon goes on\n",
				info->mountpoint, pid);
			return 0;
		}
		if (seconds == 4)
			dprintf(STDERR_FILENO, "umount: waiting for the daemon to close %s\n",
				info->source);
		seconds = COF_MIN(seconds * 2, 64u);
	}
}

static bool mounted_elsewhere(const struct cof_mountinfo *info, struct cof_mountinfo *other)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = f && cof_mountinfo_device(f, info->major, info->minor, other) == 0;

	if (f)
		(void)fclose(f);
	return found;
}

/* ---- unmounting ---- */

static int make_read_only(const struct cof_mountinfo *info)
{
	if (mount(NULL, info->mountpoint, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return -errno;
	dprintf(STDERR_FILENO, "umount: %s is in use: it was made read-only\n", info->mountpoint);
	return 1;
}

/* 0: gone; 1: read-only instead; -errno. */
static int detach(const struct arguments *a, const struct cof_mountinfo *info)
{
	int flags = UMOUNT_NOFOLLOW | (a->lazy ? MNT_DETACH : 0) | (a->force ? MNT_FORCE : 0);
	int err = umount2(info->mountpoint, flags) < 0 ? -errno : 0;

	if (err != -EBUSY)
		return err;
	if (!a->force)
		return a->read_only ? make_read_only(info) : err;
	/* The connection is cut: who has files open gets errors from now on, and the daemon, which
	 * ends, may detach the mount before we do. */
	err = umount2(info->mountpoint, UMOUNT_NOFOLLOW | MNT_DETACH) < 0 ? -errno : 0;
	return err == -EINVAL ? 0 : err;
}

static int unmount(const struct arguments *a, const struct cof_mountinfo *info)
{
	cof_autoclose int lock = open_lock(info->source); /* now: the name may go with the mount */
	struct cof_mountinfo other;
	int err = detach(a, info);

	if (err < 0) {
		dprintf(STDERR_FILENO, "umount: %s: %s%s\n", info->mountpoint, strerror(-err),
			err == -EBUSY ? " (fuser -vm tells who uses it)" : "");
		return EXIT_UMOUNT;
	}
	if (err > 0 || a->lazy)
		return EXIT_DONE;
	if (mounted_elsewhere(info, &other)) {
		if (a->verbose)
			dprintf(STDERR_FILENO, "umount: %s is still mounted on %s\n", info->source,
				other.mountpoint);
		return EXIT_DONE;
	}
	if (lock < 0) /* no store any more, or another's view of it: nothing to wait for */
		return EXIT_DONE;
	err = wait_for_daemon(lock, info);
	if (err < 0) {
		dprintf(STDERR_FILENO,
			"umount: %s is unmounted, its daemon's end was not seen: %s\n",
			info->mountpoint, strerror(-err));
		return EXIT_SYSTEM;
	}
	if (a->verbose)
		dprintf(STDERR_FILENO, "umount: %s is unmounted, %s is closed\n", info->mountpoint,
			info->source);
	return EXIT_DONE;
}

static int find_mount(const char *path, struct cof_mountinfo *ret, struct cof_diag *diag)
{
	char mountpoint[PATH_MAX];
	int err = cof_point_resolve(path, mountpoint, diag);

	if (err < 0)
		return err;
	err = cof_mountinfo_top(mountpoint, ret);
	if (err == -ENOENT)
		return cof_fail(diag, err, "%s: not mounted", path);
	if (err < 0)
		return cof_fail(diag, err, "/proc/self/mountinfo: %s", strerror(-err));
	if (strcmp(ret->type, COF_MOUNT_TYPE) != 0)
		return cof_fail(diag, -EINVAL, "%s: a mount of type %s, not an archive", path,
				ret->type);
	return 0;
}

static int parse(struct arguments *a, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "flnrvt:")) != -1) {
		if (c == '?')
			return -EINVAL;
		a->force |= c == 'f';
		a->lazy |= c == 'l';
		a->read_only |= c == 'r';
		a->verbose |= c == 'v';
	}
	return argc - optind == 1 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct arguments a = {0};
	struct cof_mountinfo info;
	struct cof_diag diag = {0};

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return fputs(help, stdout) < 0 || fflush(stdout) ? EXIT_SYSTEM : EXIT_DONE;
	if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")))
		return puts("umount.fuse.coffer " COF_VERSION) < 0 || fflush(stdout) ? EXIT_SYSTEM
										     : EXIT_DONE;
	if (parse(&a, argc, argv) < 0) {
		dprintf(STDERR_FILENO,
			"umount.fuse.coffer: one MOUNTPOINT is wanted; see --help\n");
		return EXIT_USAGE;
	}
	if (geteuid() != 0) {
		dprintf(STDERR_FILENO, "umount: only root can unmount an archive\n");
		return EXIT_USAGE;
	}
	if (find_mount(argv[optind], &info, &diag) < 0) {
		dprintf(STDERR_FILENO, "umount: %s\n", diag.text);
		return EXIT_UMOUNT;
	}
	return unmount(&a, &info);
}
