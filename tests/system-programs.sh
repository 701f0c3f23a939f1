#!/bin/sh
# Install the programs that some tests need, where we may; say plainly what is missing where we may not.
# With `monitoring` as its argument: the real monitoring systems of `make real-monitoring` as well, without starting them.
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v strace >/dev/null 2>&1 || missing="$missing strace"
if [ "$1" = monitoring ]; then
    missing=""
    command -v prometheus >/dev/null 2>&1 || missing="$missing prometheus"
    command -v prometheus-alertmanager >/dev/null 2>&1 || missing="$missing prometheus-alertmanager"
    command -v nagios4 >/dev/null 2>&1 || missing="$missing nagios4-core monitoring-plugins-basic"
    command -v icinga2 >/dev/null 2>&1 || missing="$missing icinga2"
    command -v dovecot >/dev/null 2>&1 || missing="$missing dovecot-imapd"
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing$missing ..."
    # RUNLEVEL=1: packages of services do not start them; the tests start their own, on free ports.
    { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1 && exit 0
fi
echo "NOTICE: not installed and not installable here:$missing. The tests that need them will say that they were skipped."
exit 0
