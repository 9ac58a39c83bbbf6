import Glibc
import Support
import Testing

@Suite("In namespaces", .enabled(if: isRoot, "making namespaces takes root"))
struct NamespaceTests {
    private func run(_ script: String, in box: Sandbox) async throws -> Run {
        try await box.start(["sh", "-c", script], environment: ["QQ": Sandbox.binary, "STAMP": Sandbox.stamp]).finish()
    }

    @Test("with the /proc of another pid namespace no command is guarded, because its processes could not be found")
    func foreignProc() async throws {
        try await inSandbox { box in
            let end = try await run("exec unshare -pf \"$QQ\" acquire x -- touch ran", in: box)
            #expect(end.ending == .exited(78), "\(end.errors)")
            #expect(end.errors.contains("another pid namespace"))
            #expect(access(box.path("ran"), F_OK) != 0)
        }
    }

    @Test("with a /proc of their own namespace, commands are guarded as usual")
    func ownProc() async throws {
        try await inSandbox { box in
            let end = try await run(
                "exec unshare -pf --mount-proc sh -c '\"$QQ\" acquire x -- sh -c \"setsid sleep 600 & exit 4\"'", in: box)
            #expect(end.ending == .exited(4), "\(end.errors)")
        }
    }

    @Test("with a /proc that hides other users' processes, a user who cannot see them guards no command")
    func hidden() async throws {
        try await inSandbox { box in
            for path in [box.folder, box.leases, box.path("run"), box.path("state"), box.path("home")] { chown(path, 65534, 65534) }
            let script = """
                exec unshare -mpf --mount-proc sh -c 'mount -o remount,hidepid=2 /proc || exit 99
                    setpriv --reuid=65534 --regid=65534 --clear-groups "$QQ" acquire x -- touch ran; code=$?
                    "$QQ" acquire x -- true || exit 98
                    exit $code'
                """
            let end = try await run(script, in: box)
            if end.ending == .exited(99) {
                print("skipped: /proc cannot be mounted with hidepid here")
                return
            }
            #expect(end.ending == .exited(78), "\(end.errors)")
            #expect(end.errors.contains("hidepid"))
            #expect(access(box.path("ran"), F_OK) != 0)
        }
    }

    @Test("a process that got the number of a reaped guardian is never signalled")
    func reusedNumber() async throws {
        try await inSandbox { box in
            // In a pid namespace of its own the next number can be chosen, as long as no other process there starts one; the hook
            // therefore execs. A guardian that is killed before qq knows of the command ends the campaign without a loss; the script then
            // tries again.
            let script = """
                exec unshare -pf --mount-proc sh -c '
                    [ -w /proc/sys/kernel/ns_last_pid ] || exit 99
                    for round in 1 2 3 4 5; do
                        "$QQ" acquire x --on-lost "echo >lost; exec sleep 3" -- sleep 600 2>errors & qq=$!
                        until guardian=$(pgrep -x lease-guardian) && pgrep -x sleep >/dev/null; do kill -0 $qq || exit 94; done
                        kill -9 $guardian
                        until [ -e lost ] && [ ! -e /proc/$guardian ]; do kill -0 $qq 2>/dev/null || break; done
                        [ ! -e lost ] || break
                    done
                    [ -e lost ] || { cat errors >&2; exit 95; }
                    for try in 1 2 3 4 5 6 7 8 9 10; do
                        echo $((guardian - 1)) >/proc/sys/kernel/ns_last_pid
                        sleep 600 & stranger=$!
                        [ $stranger != $guardian ] || break
                        kill $stranger
                    done
                    [ $stranger = $guardian ] || exit 97
                    wait $qq
                    kill -0 $stranger 2>/dev/null || exit 96
                    kill $stranger
                    exit 0'
                """
            let end = try await run(script, in: box)
            if end.ending == .exited(99) {
                print("skipped: the number of the next process cannot be chosen here")
                return
            }
            #expect(end.ending == .exited(0), "\(end.errors)")
        }
    }
}
