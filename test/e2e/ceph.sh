# An S3 server that is no simulation: Ceph's RADOS gateway over one monitor and one store in memory, as processes of the
# scenario that sources this, below $work/ceph. Sets s3_url; the keys are $s3_access and $s3_secret, the region us-east-1.
s3_access=s3access s3_secret=s3secretkey

start_ceph() {
  local home=$work/ceph port monitor osd
  port=$(free_port) monitor=$(free_port) osd=$(cat /proc/sys/kernel/random/uuid)
  mkdir -p "$home"/{mon,osd,rgw}
  cat >"$home/ceph.conf" <<C
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = v2:127.0.0.1:$monitor
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = $home/keyring
admin socket = $home/\$name.asok
log file = $home/\$name.log
crash dir = $home
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 500
[mon]
mon data = $home/mon
mon data avail crit = 1
[osd]
osd data = $home/osd
osd objectstore = memstore
memstore device bytes = 4294967296
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$port
rgw data = $home/rgw
rgw gc obj min wait = 1
C
  make_cluster "$home" "$monitor" >"$home/set-up.log" 2>&1 || no_ceph "$home/set-up.log"
  ceph_daemon mon ceph_ ceph-mon -i a
  ceph_ osd create "$osd" >>"$home/set-up.log" 2>&1 || no_ceph "$home/set-up.log"
  ceph-osd -c "$home/ceph.conf" -i 0 --mkfs --osd-uuid "$osd" >>"$home/set-up.log" 2>&1 || no_ceph "$home/set-up.log"
  ceph_daemon osd osd_is_up ceph-osd -i 0
  ceph_daemon rgw "curl -s http://127.0.0.1:$port/" radosgw -n client.rgw
  radosgw-admin -c "$home/ceph.conf" -n client.rgw user create --uid s3 --display-name s3 \
    --access-key "$s3_access" --secret-key "$s3_secret" >>"$home/set-up.log" 2>&1 || no_ceph "$home/set-up.log"
  s3_url=http://127.0.0.1:$port
}

make_cluster() { # home, port of the monitor
  local name
  ceph-authtool --create-keyring "$1/keyring" --gen-key -n mon. --cap mon 'allow *'
  for name in client.admin client.rgw osd.0; do
    ceph-authtool "$1/keyring" --gen-key -n "$name" --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  done
  monmaptool --create --clobber --fsid "$(sed -n 's/^fsid = //p' "$1/ceph.conf")" --addv a "[v2:127.0.0.1:$2]" "$1/monmap"
  ceph-mon -c "$1/ceph.conf" --mkfs -i a --monmap "$1/monmap" --keyring "$1/keyring"
}

ceph_() { ceph -c "$work/ceph/ceph.conf" --connect-timeout 10 "${@:-status}"; }
osd_is_up() { [[ $(ceph_ osd stat) == *'1 up'* ]]; } # No pipe: grep -q would end it early.

# Runs in the foreground, so that it is a process of ours, and waits for a command to succeed.
ceph_daemon() { # name, command that succeeds when it is ready, command...
  start_daemon "ceph_$1" "$2" "$3" -f -c "$work/ceph/ceph.conf" "${@:4}"
}

# A machine on which Ceph does not run says nothing about a registry.
no_ceph() { # log
  if [ "${CI:-}" = true ]; then not_ok 'Ceph starts' "$(cat "$1")"; else echo "skip - Ceph does not start here: $(tail -n 1 "$1")"; fi
  exit 0
}
