import Glibc
import Support
import Synchronization
import Testing

/// The container image of the binary under test, made once by `Scripts/image` and unpacked by umoci, and a place to run it in.
struct BuiltImage: Sendable {
    /// Holds everything; removed when the tests have ended.
    let box: Sandbox
    /// An authority, whose certificate is the only one in the image.
    let certificates: Certificates
    /// All files of the image, as `find` names them from its root.
    let files: [String]
    /// What the script has printed.
    let report: String
    /// The root file system, with empty folders for the mounts that a container gets.
    let root: String

    private static let top = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()

    static let script = top + "/Scripts/image"

    private static let made = Task { try await make() }
    private static let folder = Mutex("")

    static func shared() async throws -> BuiltImage { try await made.value }

    private static func make() async throws -> BuiltImage {
        let box = try Sandbox()
        folder.withLock { $0 = box.folder }
        atexit { BuiltImage.folder.withLock { removeTree($0) } }
        let certificates = try await Certificates(in: box)
        let built = try await box.start(
            [script, Sandbox.binary, box.path("qq.tar")], environment: ["CA_CERTIFICATES": certificates.authority, "TMPDIR": box.folder]
        ).finish(within: .seconds(120))
        guard built.ending == .exited(0) else { throw CannotStart("no image: \(built.errors)") }
        let unpacking = """
            umoci=\(top)/.build/tools/umoci/usr/bin/umoci; [ -x $umoci ] || umoci=umoci
            mkdir layout && tar -xf qq.tar -C layout && $umoci unpack --rootless --image "layout:$($umoci ls --layout layout)" bundle \
                && cd bundle/rootfs && find . ! -type d && mkdir -p proc dev run leases var/run/secrets/kubernetes.io/serviceaccount && touch etc/hosts
            """
        let unpacked = try await box.start(["sh", "-c", unpacking]).finish(within: .seconds(120))
        guard unpacked.ending == .exited(0) else { throw CannotStart("the image cannot be unpacked: \(unpacked.errors)") }
        return BuiltImage(
            box: box, certificates: certificates, files: unpacked.lines, report: built.text, root: box.path("bundle/rootfs"))
    }

    /// Starts `qq` as process 1 of a container of the image, as a kubelet does for a pod with `readOnlyRootFilesystem`: as user 65532, who is in no passwd, with
    /// the root file system mounted read-only, and only these variables. The sandbox's folder of leases is /leases, and /run is a new tmpfs that every
    /// user can write to, like an emptyDir.
    ///
    /// - Parameter account: a folder with the files of a service account, if the pod has one.
    func start(
        _ arguments: [String], in sandbox: Sandbox, environment: [String: String] = [:], account: String? = nil
    ) throws -> Started {
        let script = """
            root=$1; shift
            mount --bind "$root" "$root" && mount -t tmpfs none "$root/dev" && touch "$root/dev/null" && mount --bind /dev/null "$root/dev/null" \
                && mount -t tmpfs -o mode=777 none "$root/run" && mount --bind "\(sandbox.leases)" "$root/leases" \
                && mount --bind /etc/hosts "$root/etc/hosts" \
                && mount --bind "\(account ?? sandbox.leases)" "$root/var/run/secrets/kubernetes.io/serviceaccount" && mount -o remount,bind,ro "$root" || exit 99
            exec unshare -Upmf --kill-child --map-user=65532 --map-group=65532 --mount-proc --root="$root" --wd=/ /usr/bin/qq "$@"
            """
        var launch = sandbox.launch(["unshare", "-Urm", "sh", "-c", script, "sh", root] + arguments)
        launch.environment = ["PATH": sandbox.environment["PATH"] ?? "", "QQ_TEST_MARK": sandbox.folder].merging(environment) { $1 }
        return try Started(launch, in: sandbox)
    }

    func run(_ arguments: String..., in sandbox: Sandbox, environment: [String: String] = [:]) async throws -> Run {
        try await start(arguments, in: sandbox, environment: environment).finish()
    }
}
