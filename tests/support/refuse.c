/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an archive refuses, by real system calls: each has to fail with the errno that is
 * documented, and to leave every byte, length, mode and name as it was.
 *
 *   refuse ROOT DIR [UID]
 *       ROOT is the mount, DIR an empty directory in a shelf that belongs to UID. With UID the
 * calls are made by that user instead of root, and the kernel itself refuses some of them.
 *
 * The last line is "N refused by the archive": as many have to be on record. Ends with 1 after a
 * line for each check that failed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

/* US: on record. KERNEL: it never asks the archive, or the answer is no refusal (ENOTEMPTY …). */
enum decided { US, KERNEL };

static const char *root;
static int failed, by_us;
static bool is_user;

#define CONTENT 10000

/* ---- what has to stay as it is ---- */

static struct kept {
	const char *name;
	struct stat st;
	unsigned entries; /* of a directory */
} kept[16];
static int n_kept;

static char content_at(const char *name, size_t i)
{
	return (char)(name[0] * 31 + i * 7 + i / 251);
}

static void fill(const char *name, char *buf)
{
	for (size_t i = 0; i < CONTENT; i++)
		buf[i] = content_at(name, i);
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static unsigned entries_of(const char *name)
{
	DIR *d = opendir(name);
	unsigned n = 0;

	if (!d)
		die(name);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void keep(const char *name)
{
	struct kept *k = &kept[n_kept++];

	k->name = name;
	if (lstat(name, &k->st) < 0)
		die(name);
	if (S_ISDIR(k->st.st_mode))
		k->entries = entries_of(name);
}

static void make(const char *name)
{
	char buf[CONTENT];
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	fill(name, buf);
	if (fd < 0 || write(fd, buf, sizeof(buf)) != sizeof(buf) || close(fd) < 0)
		die(name);
}

static const char *content_changed(const char *name)
{
	char want[CONTENT], got[CONTENT + 1];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof(got));

	if (fd >= 0)
		close(fd);
	fill(name, want);
	if (n != CONTENT)
		return "content's length";
	return memcmp(want, got, CONTENT) ? "content" : NULL;
}

static const char *changed(const struct kept *k)
{
	struct stat st;

	if (lstat(k->name, &st) < 0)
		return "name";
	if (st.st_ino != k->st.st_ino)
		return "inode";
	if (st.st_mode != k->st.st_mode || st.st_uid != k->st.st_uid || st.st_gid != k->st.st_gid)
		return "mode or owner";
	if (st.st_nlink != k->st.st_nlink)
		return "links";
	if (S_ISDIR(st.st_mode))
		return entries_of(k->name) == k->entries ? NULL : "entries";
	if (st.st_mtim.tv_sec != k->st.st_mtim.tv_sec ||
	    st.st_mtim.tv_nsec != k->st.st_mtim.tv_nsec)
		return "mtime";
	if (st.st_size != k->st.st_size)
		return "size";
	return st.st_size ? content_changed(k->name) : NULL;
}

/* ---- one check ---- */

static void check(const char *call, long result, int got, int want, enum decided by)
{
	if (result >= 0) {
		printf("FAILED %s: was allowed (%ld), %s is right\n", call, result,
		       strerrorname_np(want));
		failed = 1;
	} else if (got != want) {
		printf("FAILED %s: %s, %s is right\n", call, strerrorname_np(got),
		       strerrorname_np(want));
		failed = 1;
	}
	by_us += by == US;
	for (int i = 0; i < n_kept; i++) {
		const char *what = changed(&kept[i]);

		if (what) {
			printf("FAILED %s: the %s of %s changed\n", call, what, kept[i].name);
			failed = 1;
		}
	}
}

#define REFUSED(want, by, call)                                                                    \
	do {                                                                                       \
		long result_;                                                                      \
                                                                                                   \
		errno = 0;                                                                         \
		result_ = (long)(call);                                                            \
		check(#call, result_, errno, want, by);                                            \
	} while (0)

/* Where the kernel refuses the user first, by permission or for want of a capability. */
#define REFUSED_EARLY(want, user_want, call)                                                       \
	REFUSED(is_user ? (user_want) : (want), is_user ? KERNEL : US, call)

#define ALLOWED(call)                                                                              \
	do {                                                                                       \
		errno = 0;                                                                         \
		if ((long)(call) < 0) {                                                            \
			printf("FAILED %s: %s, but it is allowed\n", #call,                        \
			       strerrorname_np(errno));                                            \
			failed = 1;                                                                \
		}                                                                                  \
	} while (0)

static int rename2(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static int open_once(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static int open_or_die(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	if (fd < 0)
		die(name);
	return fd;
}

/* ---- an open file ---- */

static void below_the_end(void)
{
	int w = open_or_die("open", O_WRONLY), rw = open_or_die("open", O_RDWR);
	int app = open_or_die("open", O_WRONLY | O_APPEND), in = open_or_die("other", O_RDONLY);
	struct iovec iov[2] = {{.iov_base = "abc", .iov_len = 3}, {.iov_base = "d", .iov_len = 1}};
	loff_t from = 0, to = 0;
	off_t offset = 0;
	ssize_t r;
	int p[2];

	REFUSED(EPERM, US, write(w, "x", 1));
	REFUSED(EPERM, US, pwrite(w, "x", 1, 0));
	REFUSED(EPERM, US, pwrite(w, "xy", 2, CONTENT - 1)); /* reaches beyond the end */
	REFUSED(EPERM, US, pwrite(rw, "x", 1, CONTENT / 2));
	REFUSED(EPERM, US, pwritev(rw, iov, 2, 1));
	REFUSED(EPERM, US, sendfile(w, in, &offset, 100));
	REFUSED(EPERM, US, copy_file_range(in, &from, w, &to, 100, 0));
	/* The same bytes again are no exception. */
	REFUSED(EPERM, US, pwrite(w, &(char){content_at("open", 5)}, 1, 5));
	if (pipe(p) < 0 || write(p[1], "piped", 5) != 5)
		die("pipe");
	to = 0;
	REFUSED(EPERM, US, splice(p[0], NULL, w, &to, 5, 0));
	errno = 0;
	r = pwritev2(app, iov, 1, 0, RWF_NOAPPEND);
	if (r < 0 && errno == EOPNOTSUPP)
		printf("skipped: this kernel has no RWF_NOAPPEND\n");
	else
		check("pwritev2 with RWF_NOAPPEND", r, errno, EPERM, US);
	REFUSED(EOPNOTSUPP, KERNEL, ioctl(w, FICLONE, in));
	REFUSED(EBADF, KERNEL, copy_file_range(in, &from, app, NULL, 100, 0));
	close(w);
	close(rw);
	close(app);
	close(in);
	close(p[0]);
	close(p[1]);
}

/* A descriptor that was opened when what it wants to write to was still beyond the end. */
static void below_the_end_on_an_old_descriptor(void)
{
	int old = open_or_die("grown", O_WRONLY | O_CREAT | O_EXCL), now;
	char buf[CONTENT];

	now = open_or_die("grown", O_WRONLY);
	fill("grown", buf);
	if (write(now, buf, CONTENT) != CONTENT)
		die("grown");
	close(now);
	keep("grown");
	REFUSED(EPERM, US, write(old, "x", 1));
	REFUSED(EPERM, US, pwrite(old, "x", 1, CONTENT - 1));
	REFUSED(EPERM, US, ftruncate(old, 0));
	close(old);
}

static void lengths(void)
{
	int w = open_or_die("open", O_WRONLY);

	REFUSED(EPERM, US, truncate("open", 0));
	REFUSED(EPERM, US, truncate("open", CONTENT - 1));
	REFUSED(EPERM, US, ftruncate(w, 0));
	REFUSED(EPERM, US, ftruncate(w, CONTENT / 2));
	REFUSED(EPERM, US, open_once("open", O_WRONLY | O_TRUNC));
	REFUSED(EPERM, US, open_once("open", O_RDWR | O_TRUNC | O_APPEND));
	REFUSED(EPERM, US, open_once("open", O_RDONLY | O_TRUNC));
	REFUSED(EPERM, US, creat("open", 0644));
	ALLOWED(ftruncate(w, CONTENT)); /* nothing changes */
	ALLOWED(fallocate(w, FALLOC_FL_KEEP_SIZE, 0, 2 * CONTENT));
	ALLOWED(
	    fallocate(w, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, CONTENT, 4096)); /* no bytes */
	REFUSED(EPERM, US,
		fallocate(w, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, CONTENT - 1, 4096));
	REFUSED(EPERM, US, fallocate(w, 0, CONTENT, 4096));
	REFUSED(EPERM, US, posix_fallocate(w, CONTENT, 4096) ? (errno = EPERM, -1) : 0);
	REFUSED(EPERM, US, fallocate(w, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	REFUSED(EPERM, US, fallocate(w, FALLOC_FL_ZERO_RANGE, 0, 4096));
	REFUSED(EPERM, US, fallocate(w, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	REFUSED(EOPNOTSUPP, KERNEL, fallocate(w, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	REFUSED(EOPNOTSUPP, KERNEL, fallocate(w, FALLOC_FL_INSERT_RANGE, 0, 4096));
	close(w);
}

static void mappings(void)
{
	int rw = open_or_die("open", O_RDWR);
	void *p;

	REFUSED(ENODEV, KERNEL, mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, rw, 0));
	REFUSED(ENODEV, KERNEL, mmap(NULL, 4096, PROT_READ, MAP_SHARED, rw, 0));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, rw, 0);
	if (p == MAP_FAILED) {
		printf("FAILED a private mapping: %s\n", strerrorname_np(errno));
		failed = 1;
	} else {
		*(char *)p = 'x'; /* one's own copy */
		munmap(p, 4096);
	}
	close(rw);
}

static int bind_socket(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0), r, err;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", name);
	r = bind(s, (struct sockaddr *)&a, sizeof(a));
	err = errno;
	close(s);
	errno = err;
	return r;
}

static void names(void)
{
	REFUSED(EPERM, US, unlink("open"));
	REFUSED(EPERM, US, unlinkat(AT_FDCWD, "open", 0));
	REFUSED(EPERM, US, rename("other", "open"));
	REFUSED(EPERM, US, rename("empty", "open"));
	REFUSED(EPERM, US, rename2("other", "open", RENAME_EXCHANGE));
	REFUSED(EPERM, US, rename2("full", "dir", RENAME_EXCHANGE));
	REFUSED(EPERM, US, rename2("other", "away", RENAME_WHITEOUT));
	REFUSED(EEXIST, KERNEL, rename2("other", "open", RENAME_NOREPLACE));
	REFUSED(EPERM, US, link("open", "second"));
	REFUSED(EPERM, US, linkat(AT_FDCWD, "open", AT_FDCWD, "dir/second", 0));
	REFUSED(EPERM, US, mkfifo("fifo", 0600));
	REFUSED(EPERM, US, bind_socket("socket"));
	REFUSED_EARLY(EPERM, EPERM, mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	REFUSED_EARLY(EPERM, EPERM, mknod("disk", S_IFBLK | 0600, makedev(7, 0)));
	REFUSED(EOPNOTSUPP, KERNEL, open(".", O_TMPFILE | O_RDWR, 0600));
	REFUSED(ENOTEMPTY, KERNEL, rmdir("full"));
	REFUSED(EPERM, US, rename("full", "moved"));
	REFUSED(EISDIR, KERNEL, unlink("dir"));
	REFUSED(ENOTDIR, KERNEL, rmdir("open"));
}

static void attributes(void)
{
	char value[64] = "";

	REFUSED(EPERM, US, setxattr("open", "user.coffer.state", "committed", 9, 0));
	REFUSED(EPERM, US, setxattr("open", "user.coffer.digest", "x", 1, XATTR_CREATE));
	REFUSED(EPERM, US, removexattr("open", "user.coffer.state"));
	REFUSED(is_user ? EPERM : EOPNOTSUPP, KERNEL, setxattr("open", "trusted.x", "1", 1, 0));
	if (is_user)
		REFUSED(EPERM, KERNEL, chown("open", 0, -1));
	if (getxattr("open", "user.coffer.state", value, sizeof(value)) != 4 ||
	    strcmp(value, "open")) {
		printf("FAILED user.coffer.state of an open file: '%s'\n", value);
		failed = 1;
	}
}

/* ---- the top directory and the shelves ---- */

static void top_directory(void)
{
	char shelf[4096];

	snprintf(shelf, sizeof(shelf), "%s/audit", root);
	if (chdir(root) < 0)
		die(root);
	REFUSED_EARLY(EPERM, EACCES, creat("new", 0644));
	REFUSED_EARLY(EPERM, EACCES, mkdir("new", 0755));
	REFUSED_EARLY(EPERM, EACCES, symlink("audit", "new"));
	REFUSED_EARLY(EPERM, EACCES, mkfifo("new", 0600));
	REFUSED_EARLY(EPERM, EACCES, rmdir("audit"));
	REFUSED_EARLY(EPERM, EACCES, rename("audit", "renamed"));
	REFUSED_EARLY(EPERM, EPERM, chmod(".", 0777));
	REFUSED_EARLY(EPERM, EPERM, chown(".", 65534, 65534));
	if (access(shelf, F_OK) < 0 || entries_of(root) != 4) {
		printf("FAILED: the top directory changed\n");
		failed = 1;
	}
}

static void into_the_top_directory(const char *dir)
{
	char to[4096];

	if (chdir(dir) < 0)
		die(dir);
	snprintf(to, sizeof(to), "%s/moved", root);
	REFUSED_EARLY(EPERM, EACCES, rename("open", to));
	REFUSED_EARLY(EPERM, EACCES, rename("dir", to));
	REFUSED_EARLY(EPERM, EACCES, link("open", to));
}

/* ---- a committed file ---- */

/* In a process of its own, which alone could still rename it. */
static void commit_elsewhere(const char *name)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(chmod(name, 0444) < 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		die("chmod to commit");
}

static void committed_descriptors(int old, int old_rw)
{
	REFUSED(EPERM, US, write(old, "x", 1));
	REFUSED(EPERM, US, pwrite(old_rw, "x", 1, CONTENT));
	REFUSED(EPERM, US, pwrite(old_rw, "x", 1, 0));
	REFUSED(EPERM, US, ftruncate(old_rw, 0));
	REFUSED(EPERM, US, ftruncate(old_rw, 2 * CONTENT));
	REFUSED(EPERM, US, fallocate(old_rw, FALLOC_FL_KEEP_SIZE, 0, 4096));
	REFUSED(EPERM, US, fallocate(old_rw, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	REFUSED(ENODEV, KERNEL, mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, old_rw, 0));
	REFUSED(EPERM, US, fchmod(old, 0644));
	REFUSED(EPERM, US, futimens(old, NULL));
}

static void committed_names(void)
{
	REFUSED_EARLY(EPERM, EACCES, open_once("fixed", O_WRONLY));
	REFUSED_EARLY(EPERM, EACCES, open_once("fixed", O_RDWR));
	REFUSED_EARLY(EPERM, EACCES, open_once("fixed", O_WRONLY | O_APPEND));
	REFUSED_EARLY(EPERM, EACCES, open_once("fixed", O_RDONLY | O_TRUNC));
	REFUSED_EARLY(EPERM, EACCES, truncate("fixed", 0));
	REFUSED_EARLY(EPERM, EACCES, truncate("fixed", 2 * CONTENT));
	REFUSED(EPERM, US, unlink("fixed"));
	REFUSED(EPERM, US, rename("fixed", "free"));
	REFUSED(EPERM, US, rename("fixed", "dir/free"));
	REFUSED(EPERM, US, rename("other", "fixed"));
	REFUSED(EPERM, US, rename("empty", "fixed"));
	REFUSED(EPERM, US, rename2("fixed", "other", RENAME_EXCHANGE));
	REFUSED(EPERM, US, link("fixed", "second"));
	REFUSED(EPERM, US, chmod("fixed", 0644));
	REFUSED(EPERM, US, chmod("fixed", 0400));
	if (!is_user) {
		REFUSED(EPERM, US, chown("fixed", 65534, -1));
		REFUSED(EPERM, US, setxattr("fixed", "user.other", "1", 1, 0));
	}
	REFUSED(EPERM, US, utimensat(AT_FDCWD, "fixed", NULL, 0));
	REFUSED(EPERM, US,
		utimensat(AT_FDCWD, "fixed", (struct timespec[]){{.tv_sec = 1}, {.tv_sec = 1}}, 0));
	ALLOWED(chmod("fixed", 0444)); /* says nothing new */
}

static void committed(void)
{
	int old, old_rw, r;
	char value[64] = "";
	void *p;

	make("fixed");
	old = open_or_die("fixed", O_WRONLY | O_APPEND);
	old_rw = open_or_die("fixed", O_RDWR);
	commit_elsewhere("fixed");
	keep("fixed");
	committed_descriptors(old, old_rw);
	committed_names();
	r = open_or_die("fixed", O_RDONLY);
	p = mmap(NULL, CONTENT, PROT_READ, MAP_SHARED, r, 0);
	if (p == MAP_FAILED || ((char *)p)[CONTENT - 1] != content_at("fixed", CONTENT - 1)) {
		printf("FAILED: a committed file can be mapped for reading\n");
		failed = 1;
	}
	if (getxattr("fixed", "user.coffer.state", value, sizeof(value)) < 0 ||
	    strcmp(value, "committed")) {
		printf("FAILED user.coffer.state of a committed file: '%s'\n", value);
		failed = 1;
	}
	close(r);
	close(old);
	close(old_rw);
}

/* Who commits may name it once more (rsync commits a temporary name), in place, to a free name. */
static void rename_once(void)
{
	make("tmp");
	if (chmod("tmp", 0444) < 0)
		die("tmp");
	REFUSED(EPERM, US, rename("tmp", "dir/named"));
	REFUSED(EPERM, US, rename("tmp", "open"));
	ALLOWED(rename("tmp", "tmp-named"));
	keep("tmp-named");
	REFUSED(EPERM, US, rename("tmp-named", "again"));
	REFUSED(EPERM, US, unlink("tmp-named"));
}

/* ---- all of it ---- */

static void become(const char *text)
{
	unsigned uid = (unsigned)strtoul(text, NULL, 10);

	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		die("setuid");
	is_user = true;
}

static void prepare(const char *dir)
{
	if (chdir(dir) < 0)
		die(dir);
	make("open");
	make("other");
	if (close(open_or_die("empty", O_WRONLY | O_CREAT | O_EXCL)) < 0)
		die("empty");
	if (mkdir("dir", 0755) < 0 || mkdir("full", 0755) < 0 || symlink("open", "full/l") < 0)
		die("directories");
	keep("open");
	keep("other");
	keep("empty");
	keep("dir");
	keep("full");
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: refuse ROOT DIR [UID]\n");
		return 2;
	}
	umask(022);
	setvbuf(stdout, NULL, _IOLBF, 0);
	root = argv[1];
	if (argc == 4)
		become(argv[3]);
	prepare(argv[2]);
	below_the_end();
	below_the_end_on_an_old_descriptor();
	lengths();
	mappings();
	names();
	attributes();
	committed();
	rename_once();
	into_the_top_directory(argv[2]);
	n_kept = 0; /* their names are relative to DIR */
	top_directory();
	printf("%d refused by the archive\n", by_us);
	return failed;
}
