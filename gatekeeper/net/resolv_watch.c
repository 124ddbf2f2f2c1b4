#include "gatekeeper/net/resolv_watch.h"

#include "gatekeeper/base/clock.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define LOOK_NS	    CLOCK_NS_PER_S

bool resolv_watch_changed(struct resolv_watch *watch, int64_t now_ns)
{
	struct stat st = {.st_ino = 0}, seen = watch->seen;

	if (now_ns - watch->looked_ns < LOOK_NS)
		return false;
	/* One that is not there is also a state of things. */
	if (stat(RESOLV_CONF, &st))
		st.st_ino = 1;
	watch->seen = st;
	watch->looked_ns = now_ns;
	return seen.st_ino &&
	       (seen.st_dev != st.st_dev || seen.st_ino != st.st_ino ||
		seen.st_size != st.st_size ||
		seen.st_mtim.tv_sec != st.st_mtim.tv_sec ||
		seen.st_mtim.tv_nsec != st.st_mtim.tv_nsec);
}
