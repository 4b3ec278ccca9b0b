# Inside the guest, as root, under its systemd: the parts, one after the other. A part passes when its command does.
# Each is started as the people who use lambkin start it: as a service, in a scope, by an ordinary user.
cd /guest
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
user=1000
slowness=$(sed -n 's/.*guest\.slowness=\([0-9]*\).*/\1/p' /proc/cmdline)
only=$(sed -n 's/.*guest\.only=\([a-z-]*\).*/\1/p' /proc/cmdline)
failed=0

chown -R 0:0 /guest /etc /root
chown root:messagebus /usr/lib/dbus-1.0/dbus-daemon-launch-helper
mkdir -p /home/user && chown $user:$user /home/user
systemctl start user@$user.service
for module in loop tun; do modprobe $module; done
# As udev leaves it.
chmod 666 /dev/net/tun

part() { # name, command: says how it went
    local name=$1 start=$SECONDS
    shift
    if [[ -n $only && $name != "$only"* ]]; then return; fi
    echo "guest: part $name"
    if "$@" </dev/null 2>&1; then
        echo "guest: part $name ok, $((SECONDS - start)) s"
    else
        echo "guest: part $name FAILED, $((SECONDS - start)) s"
        failed=$((failed + 1))
    fi
}

inner=(--quiet --wait --pipe --collect --working-directory=/guest --setenv=LAMBKIN_TEST_SLOWNESS=$slowness)
as_service() { systemd-run "${inner[@]}" -p Delegate=yes "$@"; }
as_users_service() { systemd-run "${inner[@]}" -p Delegate=yes -p User=user "$@"; }
as_user() { setpriv --reuid=$user --regid=$user --clear-groups env HOME=/home/user LAMBKIN_TEST_SLOWNESS=$slowness XDG_RUNTIME_DIR=/run/user/$user "$@"; }
in_users_scope() { as_user systemd-run --user --quiet --scope -p Delegate=yes "$@"; }

echo "guest: $(uname -sr), $(systemctl --version | head -1), $(nproc) processors"
echo "guest: controllers $(cat /sys/fs/cgroup/cgroup.controllers), of the user's manager: $(cat /sys/fs/cgroup/user.slice/user-$user.slice/user@$user.service/cgroup.controllers)"
# Whether a command's output has this line; all of it is shown.
says() { local line=$1; shift; "$@" | tee /tmp/said; grep -qE "$line" /tmp/said; }

groups=(./groups cgroup:: --test-threads=1 --nocapture)
# Those in which groups have a part. A fork bomb is not among them: at this speed 742 processes take longer to die
# than lambkin waits.
rows=(13_memory 15_fill_tmp 24_ 30_ 33_)
part groups-root as_service "${groups[@]}"
part groups-user as_users_service "${groups[@]}"
part groups-scope in_users_scope "${groups[@]}"
part doctor-root says 'memory limit +yes  cgroup v2$' systemd-run --scope --quiet -p Delegate=yes lambkin doctor
part doctor-undelegated says 'CPU limit +NO .*systemd-run --scope -p Delegate=yes' lambkin doctor
part doctor-user says 'memory limit +NO .*systemd-run --user --scope -p Delegate=yes' as_user lambkin doctor
part doctor-scope says 'CPU limit +yes  cgroup v2$' in_users_scope lambkin doctor
part jail-root as_service ./jail "${rows[@]}"
part jail-user as_users_service ./jail "${rows[@]}"
echo "guest: all parts are through, $failed failed"
