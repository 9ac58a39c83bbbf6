import Glibc

/// The part of a NATS client that measuring needs: it writes leases, sees renewals, and shares no code with qq.
final class RawNATS {
    private let descriptor: CInt
    private var bytes: [UInt8] = []
    private var start = 0
    private var count = 0

    init(_ port: UInt16) {
        guard let descriptor = connectSocket(port) else { stop("nats-server does not listen") }
        self.descriptor = descriptor
        send(#"CONNECT {"verbose":false,"headers":true,"no_responders":true}"# + "\r\nSUB _INBOX.bench.* 1\r\n")
    }

    deinit { close(descriptor) }

    // MARK: Buckets in the Go library's second format, one an election

    func createBucket(_ election: String, ttlSeconds: Int) {
        let stream = "KV_KV_CLUSTER_" + election
        let age = ttlSeconds * 1_000_000_000
        request(
            "$JS.API.STREAM.CREATE." + stream,
            #"{"name":"\#(stream)","subjects":["$KV.KV_CLUSTER_\#(election).>"],"retention":"limits","discard":"new","max_age":\#(age),"#
                + #""max_msgs_per_subject":1,"storage":"file","num_replicas":1,"duplicate_window":\#(age),"deny_delete":true,"#
                + #""allow_rollup_hdrs":true,"allow_direct":true}"#)
    }

    func put(_ election: String, _ value: String) { request("$KV.KV_CLUSTER_\(election).leader", value) }

    func delete(_ election: String) { request("$KV.KV_CLUSTER_\(election).leader", "", headers: "NATS/1.0\r\nKV-Operation: DEL\r\n\r\n") }

    /// The server's description of an election's stream; nil while there is none.
    func stream(_ election: String) -> String? {
        let answer = request("$JS.API.STREAM.INFO.KV_KV_CLUSTER_" + election, "", mayFail: true)
        return answer.contains("\"error\"") ? nil : answer
    }

    /// Time of the last write of the lease, on the clock of the stamps; nil while there is none.
    func lastRenewal(_ election: String) -> UInt64? {
        let answer = request(
            "$JS.API.STREAM.MSG.GET.KV_KV_CLUSTER_" + election, #"{"last_by_subj":"$KV.KV_CLUSTER_\#(election).leader"}"#, mayFail: true)
        guard let range = answer.range(after: #""time":""#), let time = unixNanoseconds(answer[range...].prefix { $0 != "\"" }) else {
            return nil
        }
        var (wall, boot) = (timespec(), timespec())
        clock_gettime(CLOCK_REALTIME, &wall)
        clock_gettime(CLOCK_BOOTTIME, &boot)
        let ago = Int64(wall.tv_sec) * 1_000_000_000 + Int64(wall.tv_nsec) - time
        return UInt64(Int64(boot.tv_sec) * 1_000_000_000 + Int64(boot.tv_nsec) - ago)
    }

    // MARK: Protocol

    func subscribe(_ subject: String) { send("SUB \(subject) 2\r\n") }

    /// The subject of the next message that is not an answer; nil if none arrives in time.
    func nextSubject(until end: UInt64) -> Substring? {
        while let message = next(until: end) { if !message.subject.hasPrefix("_INBOX") { return message.subject } }
        return nil
    }

    @discardableResult
    private func request(_ subject: String, _ payload: String, headers: String? = nil, mayFail: Bool = false) -> String {
        count += 1
        let reply = "_INBOX.bench.\(count)"
        if let headers {
            send("HPUB \(subject) \(reply) \(headers.utf8.count) \(headers.utf8.count + payload.utf8.count)\r\n\(headers)\(payload)\r\n")
        } else {
            send("PUB \(subject) \(reply) \(payload.utf8.count)\r\n\(payload)\r\n")
        }
        let end = now() + 5_000_000_000
        while let message = next(until: end) {
            guard message.subject == reply else { continue }
            if !mayFail, message.payload.contains("\"error\"") { stop("\(subject): \(message.payload)") }
            return message.payload
        }
        stop("no answer to \(subject)")
    }

    private func send(_ text: String) {
        let bytes = Array(text.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else { stop("cannot write to nats-server") }
    }

    private func next(until end: UInt64) -> (subject: Substring, payload: String)? {
        while true {
            if let message = parse() { return message }
            let time = now()
            var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard time < end, poll(&item, 1, CInt(clamping: (end - time) / 1_000_000 + 1)) > 0 else { return nil }
            bytes.removeFirst(start)
            start = 0
            var buffer = [UInt8](repeating: 0, count: 64 * 1024)
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { stop("nats-server ended the connection") }
            bytes += buffer[..<count]
        }
    }

    private func parse() -> (subject: Substring, payload: String)? {
        while let end = bytes[start...].firstIndex(of: 10) {
            let line = String(decoding: bytes[start..<end], as: UTF8.self)
            let words = line.split { $0 == " " || $0 == "\r" || $0 == "\r\n" }
            if words.first == "MSG" || words.first == "HMSG", let size = words.last.flatMap({ Int($0) }) {
                guard bytes.count >= end + 1 + size + 2 else { return nil }
                let payload = String(decoding: bytes[end + 1..<end + 1 + size], as: UTF8.self)
                start = end + 1 + size + 2
                return (words[1], payload)
            }
            if words.first == "PING" { send("PONG\r\n") }
            start = end + 1
        }
        return nil
    }
}

extension String {
    /// The index after the first `part`.
    fileprivate func range(after part: String) -> Index? { firstRange(of: part)?.upperBound }
}

/// Nanoseconds since 1970 of a time such as `2026-11-21T00:36:54.505668762Z`.
private func unixNanoseconds(_ text: Substring) -> Int64? {
    let numbers = text.split { !$0.isNumber }
    guard numbers.count >= 6, text.last == "Z" else { return nil }
    let values = numbers[..<6].compactMap { Int32($0) }
    guard values.count == 6 else { return nil }
    var time = tm()
    (time.tm_year, time.tm_mon, time.tm_mday) = (values[0] - 1900, values[1] - 1, values[2])
    (time.tm_hour, time.tm_min, time.tm_sec) = (values[3], values[4], values[5])
    let fraction = numbers.count > 6 ? numbers[6] : "0"
    guard let nanoseconds = Int64(fraction + String(repeating: "0", count: max(0, 9 - fraction.count))) else { return nil }
    return Int64(timegm(&time)) * 1_000_000_000 + nanoseconds
}
