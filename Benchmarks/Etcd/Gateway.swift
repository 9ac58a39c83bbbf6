/// What etcd says of itself over HTTP: its gateway, which takes requests in JSON, and its metrics.
struct Gateway {
    private let connection: HTTPConnection

    init(_ port: UInt16) { connection = HTTPConnection(port) }

    /// The leases of the keys with a prefix, in decimal.
    func leases(of prefix: String) -> [String] {
        numbers("lease", in: connection.post("/v3/kv/range", "{\(below(prefix)),\"keys_only\":true}"))
    }

    /// Watches the keys with a prefix, and can do nothing else from then on. What this returns waits for a deletion, and returns the time when it was told.
    func deletion(below prefix: String) -> () -> UInt64 {
        connection.send("POST", "/v3/watch", "{\"create_request\":{\(below(prefix)),\"filters\":[\"NOPUT\"]}}")
        guard connection.head().status == 200, connection.part()?.contains("created") ?? false else {
            stop("etcd does not watch \(prefix)")
        }
        return {
            while let part = connection.part() { if part.contains("DELETE") { return now() } }
            stop("etcd has ended the watch of \(prefix)")
        }
    }

    /// The fields of a request for the keys with a prefix.
    private func below(_ prefix: String) -> String {
        var end = Array(prefix.utf8)
        end[end.count - 1] += 1
        return #""key":"\#(base64(Array(prefix.utf8)))","range_end":"\#(base64(end))""#
    }

    /// The seconds that are left of a lease; -1 if it has ended.
    func remaining(_ lease: String) -> Int {
        numbers("TTL", in: connection.post("/v3/lease/timetolive", #"{"ID":"\#(lease)"}"#)).first.flatMap { Int($0) } ?? -1
    }

    /// The values of a field in a JSON text, in which numbers of 64 bits are texts.
    private func numbers(_ field: String, in json: String) -> [String] {
        json.split(separator: "\"\(field)\":\"", omittingEmptySubsequences: false).dropFirst().map { String($0.prefix { $0 != "\"" }) }
    }

    private func base64(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(start + 3, bytes.count)]
            let bits = part.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - part.count))
            for place in 0..<4 { text.append(place <= part.count ? digits[bits >> (18 - 6 * place) & 63] : "=") }
        }
        return text
    }

    /// Calls of clients.
    struct Calls {
        var keepAlives = 0
        var reads = 0
        var transactions = 0

        func since(_ before: Calls) -> Calls {
            Calls(
                keepAlives: keepAlives - before.keepAlives, reads: reads - before.reads, transactions: transactions - before.transactions)
        }
    }

    /// The calls that the server has counted.
    func calls() -> Calls {
        var calls = Calls()
        for line in connection.get("/metrics").split(separator: "\n") {
            guard let count = line.split(separator: " ").last.flatMap({ Double($0) }) else { continue }
            func isCounted(_ metric: String, _ method: String) -> Bool {
                line.hasPrefix("grpc_server_\(metric)_total{") && line.contains("grpc_method=\"\(method)\"")
            }
            // All keep-alives share a stream.
            if isCounted("msg_received", "LeaseKeepAlive") { calls.keepAlives += Int(count) }
            if isCounted("started", "Range") { calls.reads += Int(count) }
            if isCounted("started", "Txn") { calls.transactions += Int(count) }
        }
        return calls
    }
}
