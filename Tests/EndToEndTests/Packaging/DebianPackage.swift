import Glibc
import Support
import Synchronization
import Testing

/// The Debian package of the binary under test, made once by Scripts/deb.
struct DebianPackage: Sendable {
    static let script = Repository.top + "/Scripts/deb"

    /// Whether packages can be made and looked at here.
    static let isPossible = system("(command -v dpkg-deb && command -v dpkg-shlibdeps && command -v make) >/dev/null") == 0
    static let hasLintian = system("command -v lintian >/dev/null") == 0

    let path: String

    private static let made = Task { try await make() }
    private static let folder = Mutex("")

    static func shared() async throws -> DebianPackage { try await made.value }

    private static func make() async throws -> DebianPackage {
        let box = try Sandbox()
        folder.withLock { $0 = box.folder }
        atexit { DebianPackage.folder.withLock { removeTree($0) } }
        let built = try await box.start(
            [script, Sandbox.binary, box.path("out")],
            environment: ["DEB_RUN_PATH": "allow", "DEB_COMPRESSION": "0", "TMPDIR": box.folder]
        ).finish(within: .seconds(300))
        guard built.code == 0, let path = built.lines.last else { throw CannotStart("no package: \(built.errors)") }
        return DebianPackage(path: path)
    }

    /// Installs a package with dpkg into a root of its own, uses it there, removes and purges it, and does so again without leases. The root has only what the package's dependencies and scripts
    /// need, copied from this machine: dpkg finds the dependencies installed, with the versions of this machine.
    static let life = #"""
        set -eu
        root=$1 package=$2
        mkdir -p "$root/usr/bin" "$root/proc" "$root/dev" "$root/run" "$root/tmp" "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
        ln -s usr/bin "$root/bin"
        touch "$root/dev/null"
        dpkg-deb -x "$package" "$root/tmp/unpacked"
        for program in /bin/sh /bin/rmdir /bin/true "$root/tmp/unpacked/usr/bin/qq"; do
            case $program in /bin/*) cp -L "$program" "$root/usr/bin" ;; esac
            ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | while read -r library; do
                mkdir -p "$root${library%/*}"
                cp -L "$library" "$root$library"
            done
        done
        rm -r "$root/tmp/unpacked"
        dpkg-deb -f "$package" Depends | tr ',' '\n' | sed 's/(.*//; s/ //g' |
            while read -r name; do dpkg-query -s "$name" && echo; done >"$root/var/lib/dpkg/status"
        list() { (cd "$root" && find . -path ./var/lib/dpkg -prune -o -print | sort); }
        list >"$root.before"
        mount --bind /dev/null "$root/dev/null"
        mount -t tmpfs none "$root/run"
        inside() {
            env -u QQ_SERVER -u XDG_RUNTIME_DIR -u XDG_STATE_HOME HOME=/ \
                unshare -pmf --kill-child --mount-proc --root="$root" --wd=/ "$@"
        }
        manage() { dpkg --root="$root" --log=/dev/null "$@" >&2; }
        manage --install "$package"
        (cd "$root" && md5sum --quiet -c var/lib/dpkg/info/qq.md5sums)
        inside /usr/bin/qq version
        inside /usr/bin/qq acquire x -- true
        inside /usr/bin/qq acquire x -- sh -c 'echo "token $QQ_TOKEN"'
        manage --remove qq
        [ ! -e "$root/usr/bin/qq" ] && [ -e "$root/var/lib/qq/x.json" ] && echo "removed, leases kept"
        purge() { manage --purge qq 2>"$root.purge" || { cat "$root.purge" >&2 && exit 1; }; }
        purge
        grep -qx "qq: kept /var/lib/qq, which has fencing counters; delete it .*" "$root.purge" && echo "told"
        list | grep -v '^\./var/lib/qq' | diff "$root.before" - && echo "only leases left"
        manage --install "$package"
        inside /usr/bin/qq acquire x -- sh -c 'echo "token $QQ_TOKEN"'
        manage --remove qq
        rm -r "$root/var/lib/qq"
        mkdir "$root/var/lib/qq"
        purge
        if grep "kept" "$root.purge"; then exit 1; fi
        list | diff "$root.before" - && echo "nothing left"
        """#
}
