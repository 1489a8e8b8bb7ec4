/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cofferfs: the daemon. It opens the archive, mounts it, serves until it is unmounted or told to
 * stop, and closes the archive. mount.coffer starts it and reads its status pipe: lines "N note",
 * then "R" once requests are answered, or "E<exit code> sentence".
 *
 * What needs root is done by a part of its own (daemon-root.c), and signatures of people are judged by another
 * (fs/sshsig), which may run ssh-keygen and has no right; a program that is told of alarms is run by a third
 * (daemon-hook.c), where one is named: the forks there are, before there are keys, which locked memory would not survive. Then the daemon becomes the owner of STORE and
 * gives up what it does not need (fs/guard); only then it reads the first byte of the archive.
 */
#include "fs/archive/archive.h"
#include "fs/control/control.h"
#include "fs/daemon-hook.h"
#include "fs/daemon-root.h"
#include "fs/daemon-self.h"
#include "fs/daemon.h"
#include "fs/guard/guard.h"
#include "fs/mount/mount.h"
#include "fs/rules/catalogue.h"
#include "fs/sshsig/sshsig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* Exit codes of mount(8). */
enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

#define SECURE_BYTES (4u << 20)

struct daemon {
	struct cof_mount_options options;
	char store[PATH_MAX], mountpoint[PATH_MAX];
	bool foreground;
	struct cof_daemon_log log;
	struct cof_daemon_root root;
	struct cof_daemon_hook hook; /* runs the operator's program, in a process of its own */
	struct cof_sshsig *sign; /* judges signatures, in a process of its own */
	struct cof_daemon_secret secret;
	struct cof_who mounter; /* whoever started us */
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_archive *archive;
	struct cof_opened opened;
	_Atomic(struct cof_mount *) mount; /* the archive's hook may come before it is there */
	struct cof_control *control;
	struct cof_daemon_self self;
	pthread_t signals;
	bool signals_started;
	atomic_bool hook_lost; /* for the thread of signals to put on record: who finds out may hold any lock */
	atomic_bool ending; /* the thread of signals has to end: SIGHUP wakes it */
};

/* ---- to whoever started us ---- */

static void tell(struct daemon *d, const char *kind, const char *text)
{
	if (d->options.statusfd >= 0)
		dprintf(d->options.statusfd, "%s%s%s\n", kind, *text ? " " : "", text);
}

static void note(struct daemon *d, const char *text)
{
	tell(d, "N", text);
	if (d->foreground)
		dprintf(STDERR_FILENO, "coffer: %s\n", text);
}

static int give_up(struct daemon *d, int code, struct cof_diag *diag)
{
	char kind[16];

	for (char *c = diag->text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	snprintf(kind, sizeof(kind), "E%d", code);
	tell(d, kind, diag->text);
	if (d->options.statusfd < 0)
		dprintf(STDERR_FILENO, "cofferfs: %s\n", diag->text);
	return code;
}

/* ---- what the layers below call ---- */

/* The severities of RFC 5424 are the priorities of syslog.h. */
static int priority_of(const struct cof_alarm_info *info)
{
	const struct cof_event_type *type = cof_event_type(info->event);
	int severity = cof_severity(info->severity ? info->severity : type ? type->severity : "");

	return severity < 0 ? LOG_WARNING : severity;
}

static void set(struct cof_json *o, const char *key, const char *value)
{
	if (value)
		cof_json_set_str(o, key, value);
}

/* What the hook is told: the keys are those of docs/format.md 4.1, and text, a sentence. */
static struct cof_json *event_of(struct daemon *d, const char *text, const struct cof_alarm_info *i, int priority)
{
	const struct cof_event_type *type = cof_event_type(i->event);
	struct cof_json *o = cof_json_object();
	char id[33];

	cof_hex(d->conf.id, sizeof(d->conf.id), id);
	set(o, "event", i->event);
	set(o, "catalogue", i->catalogue ? i->catalogue : type ? type->catalogue : NULL);
	set(o, "outcome", i->outcome ? i->outcome : type ? type->outcome : NULL);
	set(o, "severity", cof_severity_name(priority));
	cof_json_set_time(o, "time", cof_now(CLOCK_REALTIME));
	set(o, "text", text);
	set(o, "archive", id);
	set(o, "store", d->store);
	set(o, "source", i->source ? i->source : "coffer");
	set(o, "operation", i->operation);
	set(o, "path", i->path);
	set(o, "rule", i->rule);
	set(o, "signer", i->signer);
	set(o, "detail", i->detail);
	if (i->sequence)
		cof_json_set_uint(o, "sequence", i->sequence);
	if (i->object)
		cof_json_set_uint(o, "object", i->object);
	if (i->who) {
		cof_json_set_uint(o, "uid", i->who->uid);
		cof_json_set_uint(o, "pid", i->who->pid);
	}
	return o;
}

static void on_alarm_event(void *user, const char *text, const struct cof_alarm_info *info)
{
	cof_autojson struct cof_json *event = NULL;
	struct daemon *d = user;
	int priority = priority_of(info);
	char said[256];
	struct cof_said about = {.event = info->event,
				 .operation = info->operation,
				 .path = info->path,
				 .rule = info->rule,
				 .store = d->store};

	if (info->who) {
		about.has_who = true;
		about.uid = info->who->uid;
		about.pid = info->who->pid;
	}
	cof_daemon_say_of(&d->log, priority, &about, "%s", text);
	event = event_of(d, text, info, priority);
	if (cof_daemon_hook_tell(&d->hook, event, said) && !atomic_exchange(&d->hook_lost, true))
		(void)kill(getpid(), SIGUSR1);
	if (*said)
		cof_daemon_say(&d->log, LOG_WARNING, "%s", said);
}

/* Without more to say than its text. */
static void on_alarm(void *user, const char *text)
{
	on_alarm_event(user, text, &(struct cof_alarm_info){.event = "alarm", .severity = "crit"});
}

static void on_changed(void *user, uint64_t ino)
{
	struct daemon *d = user;
	struct cof_mount *m = atomic_load(&d->mount);

	if (m)
		cof_mount_changed(m, ino);
}

static void on_removed(void *user, uint64_t parent, const char *name)
{
	struct daemon *d = user;
	struct cof_mount *m = atomic_load(&d->mount);

	if (m)
		cof_mount_removed(m, parent, name);
}

static void on_stop(void *user)
{
	struct daemon *d = user;

	cof_mount_stop(atomic_load(&d->mount));
}

static void on_status(void *user, struct cof_json *status)
{
	struct daemon *d = user;

	cof_json_set_str(status, "mountpoint", d->mountpoint);
	cof_json_set_int(status, "pid", getpid());
	cof_json_set_str(status, "transport", cof_mount_transport(atomic_load(&d->mount)));
	cof_daemon_self_status(&d->self, status);
	cof_daemon_hook_status(&d->hook, status);
}

static void on_ready(void *user)
{
	struct daemon *d = user;

	cof_daemon_say(&d->log, LOG_NOTICE, "%s is mounted on %s", d->store, d->mountpoint);
	cof_daemon_detach(d->foreground);
	if (!d->foreground)
		cof_daemon_log_to_system(&d->log);
	tell(d, "R", "");
	if (d->options.statusfd >= 0)
		close(d->options.statusfd);
	d->options.statusfd = -1;
	if (cof_guard_seal() < 0)
		cof_daemon_say(&d->log, LOG_WARNING, "%s: calls that only a start needs stay allowed",
			       d->store);
}

/* A call that is not on the list: an attack, or a library that does what it did not do before. */
static void on_refused(struct daemon *d)
{
	cof_autofree char *text = NULL;
	uint64_t times;
	char name[64];

	while (cof_guard_refused(name, &times)) {
		if (asprintf(&text, "the daemon made the system call %s, which it has no use for and "
				    "which was refused",
			     name) < 0) {
			text = NULL;
			return;
		}
		cof_archive_record(d->archive, "guard", text);
		free(text);
		text = NULL;
	}
}

/* Once a minute at most: the hook may be too slow again and again. */
static void on_hook_lost(struct daemon *d, int64_t *told)
{
	cof_autofree char *text = NULL;
	int64_t now = cof_now(CLOCK_BOOTTIME);

	if (!atomic_exchange(&d->hook_lost, false) || (*told && now - *told < 60 * COF_NSEC))
		return;
	*told = now;
	if (asprintf(&text, "the hook %s does not keep up, and is not told of each alarm: coffer status counts them", d->hook.path) < 0)
		text = NULL;
	cof_archive_record(d->archive, "hook-lost", text ? text : "the hook does not keep up");
	atomic_store(&d->hook_lost, false); /* it missed this too: the same row */
}

static void *wait_for_signals(void *user)
{
	struct daemon *d = user;
	int64_t told = 0;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP); /* nothing to read anew, and no reason to end */
	sigaddset(&set, SIGUSR1);
	while (!atomic_load(&d->ending)) {
		if (sigwait(&set, &sig) != 0)
			continue;
		if (sig == SIGUSR1) {
			on_refused(d);
			on_hook_lost(d, &told);
		} else if (sig != SIGHUP) {
			on_stop(d);
		}
	}
	return NULL;
}

/* ---- start ---- */

/* Where the index is to be beside STORE: only root may be able to make it there. */
static int make_index_dir(const struct daemon *d, const struct stat *owner, struct cof_diag *diag)
{
	const char *dir = d->options.index;

	if (!*dir || mkdir(dir, 0700) < 0)
		return !*dir || errno == EEXIST
			   ? 0
			   : cof_fail(diag, -errno, "%s cannot be made: %s", dir, strerror(errno));
	return lchown(dir, owner->st_uid, owner->st_gid) < 0
		   ? cof_fail(diag, -errno, "%s: %s", dir, strerror(errno))
		   : 0;
}

/* From root to the owner of STORE, confined. What only root can open is open by then. */
static int give_up_root(struct daemon *d, struct cof_diag *diag)
{
	const char *tpm = d->secret.secret.tpm ? d->secret.secret.tpm : COF_TPM_DEVICE;
	struct cof_guard_params p = {.store = d->store,
				     .index = d->options.index[0] ? d->options.index : NULL,
				     .tpm = tpm,
				     .uring = d->options.uring};
	pid_t parent = getppid();
	struct stat st;
	int err, signal = 0;

	if (stat(d->store, &st) < 0)
		return cof_fail(diag, -errno, "%s: %s", d->store, strerror(errno));
	err = make_index_dir(d, &st, diag);
	if (err == 0)
		err = !d->secret.secret.tpm && access(tpm + strcspn(tpm, "/"), F_OK) < 0 ? 0 : cof_tpm_load(tpm, diag);
	if (err == 0)
		err = cof_daemon_self_measure(&d->self, diag);
	(void)prctl(PR_GET_PDEATHSIG, &signal);
	if (err == 0)
		err = cof_guard_become(st.st_uid, st.st_gid, diag);
	if (err < 0)
		return err;
	/* Another user's process is no longer ended with its parent, unless that is said again. */
	if (signal && (prctl(PR_SET_PDEATHSIG, signal) < 0 || getppid() != parent))
		return cof_fail(diag, -ECANCELED, "whoever started the daemon is gone");
	if (!d->options.unconfined)
		return cof_guard_confine(&p, diag);
	note(d, "unconfined: the daemon may make any system call and open any file of its user");
	return 0;
}

static int open_archive(struct daemon *d, struct cof_diag *diag)
{
	struct cof_archive_params p = {.index_dir = d->options.index[0] ? d->options.index : NULL,
				       .alarm = on_alarm,
				       .alarm_event = on_alarm_event,
				       .changed = on_changed,
				       .removed = on_removed,
				       .read_only = d->options.read_only,
				       .verify_signature = cof_sshsig_ask,
				       .verify_user = d->sign,
				       .mounter = &d->mounter,
				       .anchor_interval = d->options.anchor_interval,
				       .heartbeat = d->options.heartbeat,
				       .seal_interval = d->options.seal_interval,
				       .secret = &d->secret.secret,
				       .deviation = d->options.deviation * COF_NSEC,
				       .user = d};
	int err = cof_io_plain(d->store, &d->io, diag);

	if (err == 0)
		err = cof_conf_load(d->io, &d->conf, diag);
	if (err == 0)
		err = cof_daemon_secret_read(&d->secret, diag);
	if (err < 0)
		return err;
	err = cof_daemon_self_fields(&d->self, &d->options, diag);
	if (err < 0)
		return err;
	p.self = d->self.fields.data;
	p.self_len = d->self.fields.len;
	if (d->secret.weak)
		note(d, "the key file can be read by others than its owner");
	p.io = d->io;
	err = cof_archive_open(&p, &d->archive, &d->opened, diag);
	cof_daemon_secret_wipe(&d->secret);
	if (err == 0 && d->opened.text[0])
		note(d, d->opened.text);
	if (err == 0 && d->options.unconfined)
		cof_archive_record(d->archive, "unconfined", "the daemon was mounted unconfined");
	return err;
}

static int start(struct daemon *d, struct cof_diag *diag)
{
	struct cof_mount *mount;
	struct cof_control_params control = {.stop = on_stop,
					     .extra = on_status,
					     .user = d};
	struct cof_mount_params p = {.root = cof_daemon_root_mount(&d->root),
				     .threads = d->options.threads,
				     .uring = d->options.uring};
	int err = cof_daemon_secret_open(&d->options, d->store, &d->secret, diag);

	if (err == 0)
		err = give_up_root(d, diag);
	if (err == 0)
		err = open_archive(d, diag);

	if (err < 0)
		return err;
	p.archive = control.archive = d->archive;
	p.read_only = d->options.read_only || d->opened.read_only;
	err = cof_mount_new(&p, &mount, diag);
	if (err < 0)
		return err;
	atomic_store(&d->mount, mount);
	err = cof_daemon_root_listen(&d->root, d->conf.id, &control.listener, diag);
	if (err == 0)
		err = cof_control_start(&control, &d->control, diag);
	if (err < 0)
		return err;
	err = -pthread_create(&d->signals, NULL, wait_for_signals, d);
	d->signals_started = err == 0;
	return err < 0 ? cof_fail(diag, err, "no thread: %s", strerror(-err)) : 0;
}

/* ---- the end, in the reverse order ---- */

static int finish(struct daemon *d, struct cof_diag *diag)
{
	struct cof_mount *mount = atomic_load(&d->mount);
	int err = 0;

	if (d->signals_started) {
		/* not cancelled: AddressSanitizer takes a cancelled thread's end for an error */
		atomic_store(&d->ending, true);
		(void)pthread_kill(d->signals, SIGHUP);
		(void)pthread_join(d->signals, NULL);
	}
	cof_daemon_root_unlink(&d->root);
	if (d->control)
		cof_control_stop(d->control);
	/* Never served: leave no mount that nobody answers. */
	if (mount)
		cof_mount_stop(mount);
	if (d->archive)
		err = cof_archive_close(d->archive, diag);
	atomic_store(&d->mount, NULL);
	cof_mount_free(mount);
	cof_io_free(d->io);
	cof_daemon_root_end(&d->root);
	cof_daemon_hook_end(&d->hook);
	cof_sshsig_end(d->sign);
	cof_daemon_self_done(&d->self);
	return err;
}

static int confine_sign_part(void *user, int fd, struct cof_diag *diag)
{
	const struct stat *owner = user;

	return cof_guard_sign_part(fd, owner->st_uid, owner->st_gid, diag);
}

/* Before the part with root's rights, whose socket it would have otherwise. */
static int start_sign_part(struct daemon *d, struct cof_diag *diag)
{
	struct stat owner;

	if (stat(d->store, &owner) < 0)
		return cof_fail(diag, -errno, "%s: %s", d->store, strerror(errno));
	return cof_sshsig_start(confine_sign_part, &owner, &d->sign, diag);
}

/* Before keys and threads; what the part needs to know is settled. */
static int start_root_part(struct daemon *d, struct cof_diag *diag)
{
	const int keep[] = {d->options.statusfd, d->options.passfd};
	struct cof_attachment mount = {.mountpoint = d->mountpoint,
				       .source = d->store,
				       .flags = d->options.flags,
				       .allow_other = !d->options.root_only};
	int err = cof_guard_only(keep, COF_COUNT(keep), diag);

	if (err == 0 && d->options.hook[0])
		err = cof_daemon_hook_start(d->options.hook, d->options.hook_user, &d->hook, diag);
	if (err == 0)
		err = start_sign_part(d, diag);
	return err < 0 ? err : cof_daemon_root_start(&mount, &d->root, diag);
}

static int serve(struct daemon *d)
{
	struct cof_diag diag = {0}, last = {0};
	int err = start_root_part(d, &diag);
	int code = 0;

	if (err == 0)
		err = cof_crypto_init(SECURE_BYTES, &diag);

	if (err < 0)
		return give_up(d, EXIT_SYSTEM, &diag);
	err = start(d, &diag);
	if (err == 0) {
		err = cof_mount_run(atomic_load(&d->mount), on_ready, d);
		if (err < 0)
			cof_fail(&diag, err, "%s was unmounted before it could be served",
				 d->mountpoint);
	}
	if (finish(d, &last) < 0) {
		cof_daemon_say(&d->log, LOG_CRIT, "%s was not closed cleanly: %s", d->store,
			       last.text);
		code = EXIT_SYSTEM;
	} else if (err == 0) {
		cof_daemon_say(&d->log, LOG_NOTICE, "%s is unmounted", d->store);
	}
	return err < 0 ? give_up(d, EXIT_MOUNT, &diag) : code;
}

/* ---- arguments ---- */

static const char help[] =
	"usage: cofferfs STORE MOUNTPOINT [-f] -o OPTION[,OPTION...]\n"
	"Serves an archive at a mount point. People use: mount -t coffer STORE MOUNTPOINT\n"
	"\n"
	"  -f                  messages stay on standard error\n"
	"  -o key-file=FILE    the key file that opens the archive\n"
	"  -o passfd=N         the passphrase is read from descriptor N\n"
	"  -o credential=NAME  the passphrase is a systemd credential\n"
	"  -o seal=tpm2        the TPM opens it; a PIN comes as a passphrase does\n"
	"  -o tpm=WHERE        where the TPM is (default: device:/dev/tpmrm0)\n"
	"  -o heartbeat=N      seconds without a frame after which one is written (60; 0: none)\n"
	"  -o hook=PROGRAM     is run for each alarm, the event as JSON on its input\n"
	"  -o hook-user=USER   as whom (nobody)\n"
	"  -o anchor-interval=N  seconds between two raises of the TPM's counter (10)\n"
	"  -o seal-interval=N  seconds between two mixings of the seal (3600)\n"
	"  -o index=DIR        where the index is kept (default: STORE/index)\n"
	"  -o threads=N        workers\n"
	"  -o clock-deviation=S  seconds that the wall clock may be off (default: 5)\n"
	"  -o transport=uring  requests over io_uring, where the kernel offers it\n"
	"  -o ro               no change through the mount\n"
	"  -o unconfined       without lists of system calls and files; goes on record\n";

/* The daemon's directory will be "/": what the person named from theirs has to hold there too. */
static int make_absolute(char path[PATH_MAX], struct cof_diag *diag)
{
	cof_autofree char *full = NULL;
	char dir[PATH_MAX];

	if (!*path || *path == '/')
		return 0;
	if (!getcwd(dir, sizeof(dir)))
		return cof_fail(diag, -errno, "the current directory: %s", strerror(errno));
	if (asprintf(&full, "%s/%s", dir, path) < 0) {
		full = NULL;
		return cof_fail(diag, -ENOMEM, "out of memory");
	}
	if (strlen(full) >= PATH_MAX)
		return cof_fail(diag, -ENAMETOOLONG, "%s: too long", full);
	strcpy(path, full);
	return 0;
}

static int parse(struct daemon *d, int argc, char **argv, struct cof_diag *diag)
{
	unsigned sources = 0;
	int c, err = 0;

	while (err == 0 && (c = getopt(argc, argv, "+fo:")) != -1) {
		if (c == 'o')
			err = cof_mount_options_parse(&d->options, optarg, diag);
		else if (c == 'f')
			d->foreground = true;
		else
			err = cof_fail(diag, -EINVAL, "unknown option; see cofferfs --help");
	}
	if (err == 0)
		err = cof_mount_options_secrets(&d->options, &sources, diag);
	if (err < 0)
		return err;
	if (sources != 1 && strcmp(d->options.seal, "tpm2") != 0)
		return cof_fail(diag, -EINVAL, "key-file=, passfd=, credential= or seal=tpm2 is wanted");
	if (argc - optind != 2)
		return cof_fail(diag, -EINVAL, "STORE and MOUNTPOINT are wanted");
	err = make_absolute(d->options.keyfile, diag);
	if (err == 0)
		err = make_absolute(d->options.index, diag);
	if (err < 0)
		return err;
	if (!realpath(argv[optind], d->store))
		return cof_fail(diag, -errno, "%s: %s", argv[optind], strerror(errno));
	if (!realpath(argv[optind + 1], d->mountpoint))
		return cof_fail(diag, -errno, "%s: %s", argv[optind + 1], strerror(errno));
	return 0;
}

/* "STORE MOUNTPOINT [options]": operands come first here, as mount(8) passes them. */
static void options_first(int argc, char **argv)
{
	char *operands[2];
	int n = 0;

	while (n < 2 && n + 1 < argc && argv[n + 1][0] != '-') {
		operands[n] = argv[n + 1];
		n++;
	}
	if (n == 0)
		return;
	memmove(argv + 1, argv + 1 + n, sizeof(*argv) * (size_t)(argc - 1 - n));
	memcpy(argv + argc - n, operands, sizeof(*argv) * (size_t)n);
}

int main(int argc, char **argv)
{
	struct daemon d = {0};
	struct cof_diag diag = {0};
	int code = EXIT_USAGE;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return fputs(help, stdout) < 0 ? EXIT_SYSTEM : 0;
	if (argc == 2 && !strcmp(argv[1], "--version"))
		return puts("cofferfs " COF_VERSION) < 0 ? EXIT_SYSTEM : 0;
	cof_mount_options_init(&d.options);
	options_first(argc, argv);
	if (parse(&d, argc, argv, &diag) < 0)
		return give_up(&d, EXIT_USAGE, &diag);
	d.mounter = (struct cof_who){.uid = getuid(), .gid = getgid(), .pid = (uint32_t)getppid()};
	cof_daemon_log_init(&d.log, d.foreground);
	if (cof_daemon_prepare(&diag) < 0)
		code = give_up(&d, EXIT_SYSTEM, &diag);
	else if (chdir("/") < 0)
		code = give_up(&d, EXIT_SYSTEM, &diag);
	else
		code = serve(&d);
	cof_daemon_log_done(&d.log);
	return code;
}
