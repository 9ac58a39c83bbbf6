import CSupport
import Glibc

/// Two network namespaces, which stand for two machines, and a virtual cable between them. Each end of the cable is called `v0`.
public final class NetworkPair: Sendable {
    /// Whether this user can create network namespaces. Root can, unless a container forbids it.
    public static let isPossible: Bool = {
        let socket = support_socket_in(nil, AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        if socket >= 0 { Glibc.close(socket) }
        return socket >= 0
    }()

    /// The processes that keep the namespaces alive.
    private let keepers: [Child]

    /// Both ends are up. The first has 10.9.9.1/24 and 2001:db8::1/64, the second 10.9.9.2/24 and 2001:db8::2/64.
    public init(in sandbox: Sandbox) async throws {
        keepers = try (0..<2).map { _ in try Child(sandbox.launch(["unshare", "--net", "sleep", "600"])) }
        let own = Self.namespace("self")
        for keeper in keepers {
            try await waitUntil("a namespace of its own") {
                guard keeper.isRunning else { throw CannotStart("unshare --net ended: \(keeper.ending as Any)") }
                let other = Self.namespace("\(keeper.pid)")
                return other != nil && other != own && LivingProcess(keeper.pid)?.name == "sleep"
            }
        }
        try await ip(0, "link add v0 type veth peer name v0 netns \(keepers[1].pid)", in: sandbox)
        for end in 0..<2 {
            try await ip(end, "link set lo up", in: sandbox)
            try await ip(end, "link set v0 up", in: sandbox)
            try await ip(end, "addr add 10.9.9.\(end + 1)/24 dev v0", in: sandbox)
            try await ip(end, "addr add 2001:db8::\(end + 1)/64 dev v0 nodad", in: sandbox)
        }
    }

    private static func namespace(_ process: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 128)
        let length = readlink("/proc/\(process)/ns/net", &buffer, buffer.count)
        return length > 0 ? String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    private func path(_ end: Int) -> String { "/proc/\(keepers[end].pid)/ns/net" }

    /// The words that run a program at one end. The program replaces `nsenter` in the same process.
    public func at(_ end: Int, _ words: [String]) -> [String] { ["nsenter", "--net=" + path(end)] + words }

    /// Runs `ip` at one end to its end.
    public func ip(_ end: Int, _ words: String, in sandbox: Sandbox) async throws {
        var launch = sandbox.launch(at(end, ["ip"] + words.split(separator: " ").map(String.init)))
        launch.errors = .file(sandbox.path("ip-errors"))
        guard case .exited(0) = try await Child(launch).wait("ip \(words)") else {
            throw CannotStart("ip \(words): \(sandbox.read("ip-errors"))")
        }
    }

    /// A socket that belongs to one end.
    public func socket(_ end: Int, _ domain: CInt, _ type: CInt, _ networkProtocol: CInt) throws -> CInt {
        let descriptor = support_socket_in(path(end), domain, type, networkProtocol)
        guard descriptor >= 0 else { throw CannotStart("no socket at end \(end): \(String(cString: strerror(errno)))") }
        return descriptor
    }

    /// Ends the processes that keep the namespaces. A namespace ends with its last process.
    public func close() async throws {
        for keeper in keepers {
            keeper.signal(SIGKILL)
            try await keeper.wait()
        }
    }
}
