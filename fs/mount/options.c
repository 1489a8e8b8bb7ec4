/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind -o, of mount.coffer and of cofferfs. Secrets never stand there. */
#include "fs/mount/point.h"

#include <fnmatch.h>
#include <sys/mount.h>

#ifndef MS_NOSYMFOLLOW /* glibc before 2.34 */
#define MS_NOSYMFOLLOW 256
#endif

static const struct {
	const char *name;
	unsigned long set, clear;
} flag_options[] = {
    {"suid", 0, MS_NOSUID},
    {"nosuid", MS_NOSUID, 0},
    {"dev", 0, MS_NODEV},
    {"nodev", MS_NODEV, 0},
    {"exec", 0, MS_NOEXEC},
    {"noexec", MS_NOEXEC, 0},
    {"atime", 0, MS_NOATIME},
    {"noatime", MS_NOATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"relatime", MS_RELATIME, 0},
    {"norelatime", 0, MS_RELATIME},
    {"strictatime", MS_STRICTATIME, 0},
    {"nostrictatime", 0, MS_STRICTATIME},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"nosymfollow", MS_NOSYMFOLLOW, 0},
};

/* For mount(8), systemd and people; they mean nothing to us. */
static const char *const ignored[] = {
    "defaults", "auto",      "noauto", "nofail",      "_netdev", "user",       "nouser",
    "users",    "nousers",   "owner",  "group",       "silent",  "loud",       "x-*",
    "X-*",      "comment=*", "user=*", "allow_other", "nomand",  "nolazytime",
};

void cof_mount_options_init(struct cof_mount_options *o)
{
	*o =
	    (struct cof_mount_options){.passfd = -1, .statusfd = -1, .flags = MS_NOSUID | MS_NODEV};
}

static int number(const char *name, const char *value, unsigned long max, unsigned long *ret,
		  struct cof_diag *diag)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(value, &end, 10);
	if (errno || *end || value[0] < '0' || value[0] > '9' || v > max)
		return cof_fail(diag, -EINVAL, "%s=%s: a number from 0 to %lu is wanted", name,
				value, max);
	*ret = v;
	return 0;
}

static int text(const char *name, const char *value, char *out, size_t cap, struct cof_diag *diag)
{
	size_t n = strlen(value);

	if (n == 0 || n >= cap)
		return cof_fail(diag, -EINVAL, "%s= wants a value of 1 to %zu bytes", name,
				cap - 1);
	memcpy(out, value, n + 1);
	return 0;
}

static int transport(struct cof_mount_options *o, const char *value, struct cof_diag *diag)
{
	if (strcmp(value, "uring") != 0 && strcmp(value, "classic") != 0)
		return cof_fail(diag, -EINVAL, "transport=%s: uring or classic is wanted", value);
	o->uring = value[0] == 'u';
	return 0;
}

static int with_value(struct cof_mount_options *o, const char *name, const char *value,
		      struct cof_diag *diag)
{
	unsigned long v = 0;
	int err;

	if (!strcmp(name, "key-file") || !strcmp(name, "keyfile")) /* as it was called first */
		return text("key-file", value, o->keyfile, sizeof(o->keyfile), diag);
	if (!strcmp(name, "credential"))
		return text(name, value, o->credential, sizeof(o->credential), diag);
	if (!strcmp(name, "seal")) {
		if (strcmp(value, "tpm2") && strcmp(value, "passphrase") && strcmp(value, "file"))
			return cof_fail(diag, -EINVAL, "seal=%s: tpm2, passphrase or file is wanted", value);
		return text(name, value, o->seal, sizeof(o->seal), diag);
	}
	if (!strcmp(name, "tpm"))
		return text(name, value, o->tpm, sizeof(o->tpm), diag);
	if (!strcmp(name, "index"))
		return text(name, value, o->index, sizeof(o->index), diag);
	if (!strcmp(name, "anchor-interval") || !strcmp(name, "seal-interval")) {
		err = number(name, value, name[0] == 'a' ? 3600 : 86400, &v, diag);
		*(name[0] == 'a' ? &o->anchor_interval : &o->seal_interval) =
			v ? (int64_t)v * COF_NSEC : 1; /* 0: with each checkpoint, each second */
		return err;
	}
	if (!strcmp(name, "hook"))
		return text(name, value, o->hook, sizeof(o->hook), diag);
	if (!strcmp(name, "hook-user"))
		return text(name, value, o->hook_user, sizeof(o->hook_user), diag);
	if (!strcmp(name, "heartbeat")) {
		err = number(name, value, 86400, &v, diag);
		o->heartbeat = v ? (int64_t)v * COF_NSEC : -1;
		return err;
	}
	if (!strcmp(name, "transport"))
		return transport(o, value, diag);
	if (!strcmp(name, "clock-deviation")) {
		err = number(name, value, 86400, &v, diag);
		if (err == 0 && !v)
			return cof_fail(diag, -EINVAL, "clock-deviation=0: at least a second is wanted");
		o->deviation = (unsigned)v;
		return err;
	}
	if (!strcmp(name, "threads")) {
		err = number(name, value, 256, &v, diag);
		o->threads = (unsigned)v;
		return err;
	}
	if (!strcmp(name, "passfd") || !strcmp(name, "statusfd")) {
		err = number(name, value, 1 << 20, &v, diag);
		if (err == 0)
			*(name[0] == 'p' ? &o->passfd : &o->statusfd) = (int)v;
		return err;
	}
	return cof_fail(diag, -EOPNOTSUPP, "unknown mount option %s=; mount.coffer -h names them", name);
}

static int without_value(struct cof_mount_options *o, const char *name, struct cof_diag *diag)
{
	if (!strcmp(name, "ro") || !strcmp(name, "rw"))
		o->read_only = name[1] == 'o';
	else if (!strcmp(name, "rootonly"))
		o->root_only = true;
	else if (!strcmp(name, "noimmutable"))
		o->keep_mutable = true;
	else if (!strcmp(name, "unconfined"))
		o->unconfined = true;
	else if (!strcmp(name, "remount"))
		return cof_fail(diag, -EINVAL,
				"an archive cannot be remounted: unmount it and mount it anew");
	else
		return cof_fail(diag, -EOPNOTSUPP, "unknown mount option %s; mount.coffer -h names them", name);
	return 0;
}

static int one(struct cof_mount_options *o, char *option, struct cof_diag *diag)
{
	char *value;

	for (size_t i = 0; i < COF_COUNT(flag_options); i++)
		if (!strcmp(option, flag_options[i].name)) {
			o->flags = (o->flags | flag_options[i].set) & ~flag_options[i].clear;
			return 0;
		}
	for (size_t i = 0; i < COF_COUNT(ignored); i++)
		if (fnmatch(ignored[i], option, 0) == 0)
			return 0;
	value = strchr(option, '=');
	if (!value)
		return without_value(o, option, diag);
	*value++ = '\0';
	for (char *c = option; *c; c++) /* anchor_interval as anchor-interval */
		*c = *c == '_' ? '-' : *c;
	return with_value(o, option, value, diag);
}

/* A comma ends an option, but that of swtpm:host=H,port=P does not: no option of ours has these names. */
char *cof_mount_options_next(char **rest)
{
	char *option = strsep(rest, ",");

	while (option && *rest && !strncmp(option, "tpm=swtpm:", 10) &&
	       (!strncmp(*rest, "host=", 5) || !strncmp(*rest, "port=", 5))) {
		(*rest)[-1] = ',';
		(void)strsep(rest, ",");
	}
	return option;
}

int cof_mount_options_parse(struct cof_mount_options *o, const char *list, struct cof_diag *diag)
{
	char *copy COF_CLEANUP(cof_freep) = strdup(list), *rest = copy, *option;
	struct cof_mount_options result = *o;

	if (!copy)
		return cof_fail(diag, -ENOMEM, "out of memory");
	while ((option = cof_mount_options_next(&rest)) != NULL) {
		int err = *option ? one(&result, option, diag) : 0;

		if (err < 0)
			return err;
	}
	*o = result;
	return 0;
}

int cof_mount_options_secrets(const struct cof_mount_options *o, unsigned *ret_n,
			      struct cof_diag *diag)
{
	unsigned n = (o->keyfile[0] != '\0') + (o->credential[0] != '\0') + (o->passfd >= 0);

	if (n > 1)
		return cof_fail(diag, -EINVAL,
				"key-file=, credential= and passfd= exclude one another");
	if (o->seal[0] && (o->keyfile[0] != '\0') != !strcmp(o->seal, "file"))
		return cof_fail(diag, -EINVAL, "key-file= goes with seal=file, and it with key-file=");
	*ret_n = n;
	return 0;
}
