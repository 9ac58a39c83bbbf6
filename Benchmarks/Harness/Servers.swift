import Glibc

/// Returns the first candidate that exists, otherwise the program on the PATH.
func program(_ name: String, _ candidates: [String]) -> String {
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    for candidate in candidates + path.split(separator: ":").map({ $0 + "/" + name }) where access(candidate, X_OK) == 0 {
        return candidate
    }
    stop("no \(name) here: run Scripts/need bench")
}

/// A process that is killed when this one ends, however that happens.
func dependent(_ words: [String]) -> Child { Child([program("setpriv", []), "--pdeathsig", "KILL"] + words) }

/// etcd, holding one key.
final class Etcd: Sendable {
    /// The command that reads the key.
    let get: [String]
    /// etcdctl, for this server.
    let client: [String]
    let port: UInt16
    var endpoint: String { "127.0.0.1:\(port)" }
    var pid: pid_t { child.pid }
    private let child: Child

    init(in folder: String, _ tools: String) {
        let peers = freePort()
        port = freePort()
        let url = "http://127.0.0.1:\(port)"
        // Makes etcdctl speak version 3 of the protocol.
        setenv("ETCDCTL_API", "3", 1)
        child = dependent([
            program("etcd", [tools + "/etcd-server/usr/bin/etcd"]), "--data-dir", folder + "/etcd", "--listen-client-urls", url,
            "--advertise-client-urls",
            url, "--listen-peer-urls", "http://127.0.0.1:\(peers)", "--initial-advertise-peer-urls", "http://127.0.0.1:\(peers)",
            "--initial-cluster",
            "default=http://127.0.0.1:\(peers)", "--log-level", "error",
        ])
        client = [program("etcdctl", [tools + "/etcd-client/usr/bin/etcdctl"]), "--endpoints=127.0.0.1:\(port)"]
        get = client + ["get", "bench"]
        waitUntil("etcd serves") { Child(client + ["put", "bench", "bench"]).wait() == 0 }
    }

    /// Times of consecutive reads.
    func read(_ rounds: Int) -> [UInt64] { (0..<rounds + 5).map { _ in time(get) }.dropFirst(5).map(\.self) }

    func end() {
        child.kill()
        child.wait()
    }
}

// MARK: Sockets

private func withAddress<Result>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    return withUnsafePointer(to: address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}

/// A port that is not in use at the moment.
func freePort() -> UInt16 {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    guard withAddress(0, { bind(descriptor, $0, $1) }) == 0 else { stop("no free port") }
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    return UInt16(bigEndian: address.sin_port)
}

func connectSocket(_ port: UInt16) -> CInt? {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard withAddress(port, { connect(descriptor, $0, $1) }) == 0 else {
        close(descriptor)
        return nil
    }
    var on: CInt = 1
    setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
    return descriptor
}

// MARK: Folders

/// A new folder in memory, so that no disk affects the times.
func workFolder() -> String {
    var path = Array("/dev/shm/qq-bench-XXXXXX".utf8CString)
    guard mkdtemp(&path) != nil else { stop("no folder to work in") }
    return String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
}
