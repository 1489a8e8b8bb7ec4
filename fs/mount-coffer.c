/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount.coffer: what mount(8) runs for "mount -t coffer STORE MNT" and for lines of /etc/fstab. It
 * prepares the mount point, asks for the passphrase where no other secret is named, starts the
 * daemon and returns once that answers requests, or with the reason why it does not.
 */
#include "fs/mount-helper.h"
#include "fs/mount/point.h"

#include <fcntl.h>
#include <sys/stat.h>

struct arguments {
	struct cof_mount_options options;
	char *text; /* what goes on to the daemon behind -o */
	char store[PATH_MAX], mountpoint[PATH_MAX];
	bool fake, sloppy, verbose, no_table;
};

static const char help[] =
    "usage: mount.coffer STORE MOUNTPOINT [-fnsvrw] [-o OPTION[,OPTION...]]\n"
    "Mounts an archive. People use: mount -t coffer STORE MOUNTPOINT\n"
    "\n"
    "  -o key-file=FILE    the key file that opens the archive\n"
    "  -o credential=NAME  the passphrase is a systemd credential\n"
    "  -o passfd=N         the passphrase is read from descriptor N\n"
    "                      (with none of these the TPM opens it if it is sealed\n"
    "                      so; else the passphrase is asked for on the terminal)\n"
    "  -o seal=KIND        tpm2, passphrase or file: which opener; the secret named\n"
    "                      beside tpm2 is its PIN\n"
    "  -o tpm=WHERE        where the TPM is: device:/dev/tpmrm0 (the default),\n"
    "                      swtpm:host=H,port=P or the path of a socket\n"
    "  -o heartbeat=N      seconds without a frame after which one is written (60)\n"
    "  -o hook=PROGRAM     is run for each alarm, the event as JSON on its input\n"
    "  -o hook-user=USER   as whom (nobody)\n"
    "  -o anchor-interval=N  seconds between two raises of the TPM's counter (10)\n"
    "  -o seal-interval=N  seconds between two mixings of the seal (3600)\n"
    "  -o index=DIR        where the index is kept (default: STORE/index)\n"
    "  -o threads=N        workers of the daemon\n"
    "  -o clock-deviation=S  seconds that the wall clock may be off (5)\n"
    "  -o transport=uring  requests over io_uring, where the kernel offers it\n"
    "  -o ro               no change through the mount\n"
    "  -o rootonly         for root alone\n"
    "  -o unconfined       without lists of system calls and files; goes on record\n"
    "  -o noimmutable      the bare mount point is left as it is\n"
    "  -f                  fake: checks, and mounts nothing\n"
    "  -s                  unknown options are ignored\n"
    "  -v                  says what was done\n"
    "  -n                  leaves the table of mounts in /run/mount alone\n"
    "  -r, -w              as -o ro, -o rw\n"
    "See mount.coffer(8).\n";

static void note(const char *text)
{
	dprintf(STDERR_FILENO, "mount.coffer: %s\n", text);
}

static int fail(int code, const struct cof_diag *diag)
{
	note(diag->text);
	return code;
}

/* ---- arguments ---- */

static int add_text(struct arguments *a, const char *option, struct cof_diag *diag)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s", a->text ? a->text : "", a->text ? "," : "", option) < 0)
		return cof_fail(diag, -ENOMEM, "out of memory");
	free(a->text);
	a->text = longer;
	return 0;
}

/* One by one, so that -s can leave out what is not known. */
static int add_options(struct arguments *a, const char *list, struct cof_diag *diag)
{
	cof_autofree char *copy = strdup(list);
	char *rest = copy, *option;

	if (!copy)
		return cof_fail(diag, -ENOMEM, "out of memory");
	while ((option = cof_mount_options_next(&rest)) != NULL) {
		int err = *option ? cof_mount_options_parse(&a->options, option, diag) : 0;

		if (err == -EOPNOTSUPP && a->sloppy)
			continue;
		if (err == 0 && *option)
			err = add_text(a, option, diag);
		if (err < 0)
			return err;
	}
	return 0;
}

/* -s counts wherever it stands. */
static bool is_sloppy(int argc, char **argv)
{
	int c;
	bool sloppy = false;

	opterr = 0;
	while ((c = getopt(argc, argv, "fnsvrwo:h")) != -1)
		sloppy |= c == 's';
	optind = 0; /* glibc: from the start, and the order anew */
	return sloppy;
}

static int parse(struct arguments *a, int argc, char **argv, struct cof_diag *diag)
{
	int c, err = 0;

	a->sloppy = is_sloppy(argc, argv);
	while (err == 0 && (c = getopt(argc, argv, "fnsvrwo:h")) != -1) {
		switch (c) {
		case 'o':
			err = add_options(a, optarg, diag);
			break;
		case 'r':
		case 'w':
			err = add_options(a, c == 'r' ? "ro" : "rw", diag);
			break;
		case 'f':
			a->fake = true;
			break;
		case 'v':
			a->verbose = true;
			break;
		case 'n':
			a->no_table = true;
			break;
		case 's':
			break;
		default:
			err = cof_fail(diag, -EINVAL, "unknown option; see mount.coffer -h");
		}
	}
	if (err == 0 && argc - optind != 2)
		err = cof_fail(diag, -EINVAL, "STORE and MOUNTPOINT are wanted");
	return err;
}

/* ---- what has to be right before a daemon is started ---- */

static int check_store(struct arguments *a, const char *path, struct cof_diag *diag)
{
	char conf[PATH_MAX + 16];

	if (!realpath(path, a->store))
		return cof_fail(diag, -errno, "%s: %s", path, strerror(errno));
	snprintf(conf, sizeof(conf), "%s/archive.conf", a->store);
	if (access(conf, F_OK) < 0)
		return cof_fail(diag, -errno,
				errno == ENOENT
				    ? "%s is not an archive: it has no archive.conf (coffer init "
				      "makes one)"
				    : "%s/archive.conf cannot be read",
				a->store);
	return 0;
}

static int check_point(struct arguments *a, const char *path, struct cof_diag *diag)
{
	int err = cof_point_resolve(path, a->mountpoint, diag);

	if (err < 0)
		return err;
	if (!strcmp(a->mountpoint, "/"))
		return cof_fail(diag, -EINVAL, "an archive cannot be mounted on /");
	if (cof_point_inside(a->mountpoint, a->store) || cof_point_inside(a->store, a->mountpoint))
		return cof_fail(diag, -EINVAL,
				"%s and %s may not lie in one another: the mount would hide the "
				"archive's own files",
				a->store, a->mountpoint);
	return 0;
}

static void guard_point(const struct arguments *a)
{
	int err = cof_point_guard(a->mountpoint);

	if (err == -ENOTEMPTY)
		dprintf(STDERR_FILENO,
			"mount.coffer: %s is not empty: what lies in it is hidden while the "
			"archive is mounted, and the directory is not made immutable\n",
			a->mountpoint);
	else if (err < 0)
		dprintf(STDERR_FILENO,
			"mount.coffer: %s could not be made immutable (%s): without the mount, "
			"programs would write into the bare directory\n",
			a->mountpoint, strerror(-err));
	else if (err > 0 && a->verbose)
		dprintf(STDERR_FILENO, "mount.coffer: the bare directory %s is now immutable\n",
			a->mountpoint);
}

/* A mount that a killed daemon left goes; then the bare directory is guarded. */
static int prepare_point(const struct arguments *a, struct cof_diag *diag)
{
	char left_by[PATH_MAX];
	struct stat st;
	int err = cof_point_clear(a->mountpoint, left_by, diag);

	if (err < 0)
		return err;
	if (err > 0)
		dprintf(STDERR_FILENO,
			"mount.coffer: the dead mount that an ended daemon of %s left on %s was "
			"detached\n",
			left_by, a->mountpoint);
	if (stat(a->mountpoint, &st) < 0)
		return cof_fail(diag, -errno, "%s: %s", a->mountpoint, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cof_fail(diag, -ENOTDIR, "%s: not a directory", a->mountpoint);
	if (!a->options.keep_mutable)
		guard_point(a);
	return 0;
}

/* Where no secret is named: the TPM if the archive has one (nothing weaker is asked for in its place),
 * with its PIN, else the passphrase. */
static int ask_secret(struct arguments *a, int *ret_fd, struct cof_diag *diag)
{
	bool tpm2 = false, pin = false;
	int err = 0;

	if (strcmp(a->options.seal, "passphrase") != 0)
		err = cof_helper_seal(a->store, &tpm2, &pin, diag);
	tpm2 |= !strcmp(a->options.seal, "tpm2");
	if (err == 0 && tpm2 && !a->options.seal[0])
		err = add_text(a, "seal=tpm2", diag);
	if (err < 0 || (tpm2 && !pin))
		return err;
	return cof_helper_passphrase(a->store, tpm2, ret_fd, diag);
}

static int mount_it(struct arguments *a, struct cof_diag *diag)
{
	struct cof_start start = {
	    .store = a->store, .mountpoint = a->mountpoint, .options = a->text ? a->text : ""};
	unsigned secrets = 0;
	pid_t pid = 0;
	int code, err;

	start.passfd = -1;
	if (cof_mount_options_secrets(&a->options, &secrets, diag) < 0)
		return EXIT_USAGE;
	if (a->fake)
		return EXIT_MOUNTED;
	if (prepare_point(a, diag) < 0)
		return EXIT_MOUNT;
	if (secrets == 0) {
		err = ask_secret(a, &start.passfd, diag);
		if (err < 0)
			return err == -EINTR ? EXIT_INTERRUPTED : EXIT_MOUNT;
		start.options = a->text ? a->text : "";
	}
	code = cof_helper_start(&start, note, &pid, diag);
	if (start.passfd >= 0)
		close(start.passfd);
	if (code != EXIT_MOUNTED)
		return code;
	if (!a->no_table && cof_helper_register(a->store, a->mountpoint) < 0)
		note("umount(8) may return before the archive is closed: mount(8) wrote nothing "
		     "about it into its table");
	if (a->verbose)
		dprintf(STDERR_FILENO, "mount.coffer: %s is mounted on %s, served by process %d\n",
			a->store, a->mountpoint, (int)pid);
	return code;
}

/* A pipe that took the number of a closed standard stream would be taken for it. */
static bool streams_are_open(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(int argc, char **argv)
{
	struct arguments a = {0};
	struct cof_diag diag = {0};
	int code;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return fputs(help, stdout) < 0 || fflush(stdout) ? EXIT_SYSTEM : 0;
	if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")))
		return puts("mount.coffer " COF_VERSION) < 0 || fflush(stdout) ? EXIT_SYSTEM : 0;
	if (!streams_are_open())
		return EXIT_SYSTEM;
	cof_mount_options_init(&a.options);
	if (parse(&a, argc, argv, &diag) < 0) {
		code = fail(EXIT_USAGE, &diag);
	} else if (geteuid() != 0) {
		note("only root can mount an archive");
		code = EXIT_USAGE;
	} else if (check_store(&a, argv[optind], &diag) < 0 ||
		   check_point(&a, argv[optind + 1], &diag) < 0) {
		code = fail(EXIT_MOUNT, &diag);
	} else {
		code = mount_it(&a, &diag);
		if (code != EXIT_MOUNTED)
			fail(code, &diag);
	}
	free(a.text);
	return code;
}
