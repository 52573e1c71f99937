#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "build.h"
#include "log.h"

void
privileges_protect(void)
{
	const struct rlimit no_core = {0, 0};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	if (!BUILD_SANITIZED) /* LeakSanitizer traces the process, which would be forbidden */
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool
privileges_find(const char *name, struct privileges *privileges)
{
	const struct passwd *user;

	*privileges = (struct privileges){.name = name};
	if (name == NULL)
		return true;
	if (geteuid() != 0) {
		log_error("--user-name %s: only root can become another user; leave it out", name);
		return false;
	}
	errno = 0;
	user = getpwnam(name);
	if (user == NULL) {
		log_error("--user-name %s: %s", name, errno != 0 ? strerror(errno) : "there is no such user");
		return false;
	}
	if (user->pw_uid == 0) {
		log_error("--user-name %s: that is root; name a user with fewer rights", name);
		return false;
	}
	privileges->uid = user->pw_uid;
	privileges->gid = user->pw_gid;
	return true;
}

/* What a program that we execute could have, though no_new_privs is in the way. Root alone can give it up. */
static void
drop_bounds(void)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
		;
}

/* Capabilities may be there without being root. Returns false when some are left. */
static bool
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};
	static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, sets) == 0 && memcmp(sets, none, sizeof none) == 0)
		return true; /* a filter of system calls need not allow it */
	return syscall(SYS_capset, &header, none) == 0;
}

static bool
become(const struct privileges *privileges)
{
	const uid_t uid = privileges->uid;
	const gid_t gid = privileges->gid;

	drop_bounds();
	if (initgroups(privileges->name, gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
		log_error("--user-name %s: cannot become this user: %s", privileges->name, strerror(errno));
		return false;
	}
	if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || (gid != 0 && setresgid((gid_t)-1, 0, (gid_t)-1) == 0)) {
		log_error("--user-name %s: root's rights would not go away", privileges->name);
		return false;
	}
	return true;
}

static void
warn_of_files(const struct privileges *privileges, const char *const *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (files[i] != NULL && access(files[i], R_OK) != 0)
			log_warning("--user-name %s: this user cannot read %s: after a HUP, what has been read of it "
				    "stays in force",
				privileges->name, files[i]);
}

bool
privileges_drop(const struct privileges *privileges, const char *const *files, size_t count)
{
	if (privileges->name != NULL && !become(privileges))
		return false;
	if (geteuid() == 0) {
		log_info("running as root; --user-name NAME would give up its rights");
		return true;
	}
	if (!drop_capabilities()) {
		log_error("cannot give up capabilities: %s", strerror(errno));
		return false;
	}
	if (privileges->name != NULL)
		warn_of_files(privileges, files, count);
	privileges_protect(); /* a new user made what fs.suid_dumpable says of it */
	return true;
}
