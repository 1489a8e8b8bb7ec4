/* SPDX-License-Identifier: Apache-2.0 */
/* Snippets for rsyslog, auditd and a CA, so that their records go onto the shelves of a profile. */
#include "tools/init.h"
#include "tools/output.h"

#include <stdio.h>

static bool has_shelf(const struct init *in, const char *name)
{
	for (size_t i = 0; i < in->n_shelves; i++)
		if (!strcmp(in->shelves[i].name, name))
			return true;
	return false;
}

/* One file for each program and day: yesterday's are idle, and committed by themselves (autocommit). */
static void say_rsyslog(const char *point)
{
	printf("\nrsyslog, in /etc/rsyslog.d/coffer.conf:\n"
	       "# --- rsyslog\n"
	       "template(name=\"coffer-file\" type=\"string\" "
	       "string=\"%s/audit/%%$YEAR%%-%%$MONTH%%-%%$DAY%%/%%PROGRAMNAME:::secpath-replace%%.log\")\n"
	       "template(name=\"coffer-line\" type=\"string\" string=\"%%TIMESTAMP:::date-rfc3339%% %%HOSTNAME%% "
	       "%%syslogtag%%%%msg:::sp-if-no-1st-sp%%%%msg:::drop-last-lf%%\\n\")\n"
	       "*.* action(type=\"omfile\" dynaFile=\"coffer-file\" template=\"coffer-line\" fileCreateMode=\"0640\" "
	       "dirCreateMode=\"0750\" createDirs=\"on\")\n"
	       "# ---\n",
	       point);
}

/* What the kernel refuses never reaches Coffer: there these rules see it. */
static void say_auditd(const char *point, const char *store)
{
	printf("\nauditd, in /etc/audit/rules.d/coffer.rules: attempts that the kernel itself refuses, and all that touches "
	       "the store:\n"
	       "# --- auditd\n"
	       "-a always,exit -F arch=b64 -F dir=%s -F exit=-EACCES -k coffer-refused\n"
	       "-a always,exit -F arch=b64 -F dir=%s -F exit=-EPERM -k coffer-refused\n"
	       "-w %s -p wa -k coffer-store\n"
	       "# ---\n"
	       "Its records come here by the syslog plugin: active = yes in /etc/audit/plugins.d/syslog.conf.\n",
	       point, point, store);
}

static void say_ca(const struct init *in, const char *point)
{
	if (!has_shelf(in, "certificates"))
		return;
	printf("\nA CA's own log goes through syslog as well (EJBCA: a syslog handler of its application server; step-ca "
	       "under systemd: the journal, which rsyslog reads). What it issues:\n"
	       "# --- CA: for each certificate or CRL issued, FILE\n"
	       "install -m 0440 FILE %s/certificates/\n"
	       "%s%s%s"
	       "# ---\n"
	       "The mode without write permission commits it.\n",
	       point, has_shelf(in, "crls") ? "install -m 0440 FILE " : "", has_shelf(in, "crls") ? point : "",
	       has_shelf(in, "crls") ? "/crls/\n" : "");
}

void init_say_sources(const struct init *in, const char *point)
{
	cof_autofree char *point_word = shell_word(point), *store_word = shell_word(in->store);

	if (!point_word || !store_word)
		return;
	printf("\nSources, once it is mounted on %s:\n", point_word);
	if (has_shelf(in, "audit")) {
		say_rsyslog(point);
		say_auditd(point_word, store_word);
	}
	say_ca(in, point_word);
}
