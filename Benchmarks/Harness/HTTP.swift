import Glibc

/// A connection to a server of this machine, on which requests of HTTP/1.1 follow one another.
final class HTTPConnection {
    private let descriptor: CInt
    private let port: UInt16
    private var bytes: [UInt8] = []

    init(_ port: UInt16) {
        guard let descriptor = connectSocket(port) else { stop("no server on port \(port)") }
        self.descriptor = descriptor
        self.port = port
    }

    deinit { close(descriptor) }

    /// The body of the answer, which must be a success.
    func get(_ path: String) -> String {
        send("GET", path)
        return success("GET", path)
    }

    func post(_ path: String, _ body: String) -> String {
        send("POST", path, body)
        return success("POST", path)
    }

    private func success(_ method: String, _ path: String) -> String {
        let (status, body) = answer()
        guard status == 200 else { stop("\(method) \(path): status \(status)") }
        return body
    }

    // MARK: Requests whose answers come late, or never end

    func send(_ method: String, _ path: String, _ body: String = "") {
        let request = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        guard request.withCString({ write(descriptor, $0, strlen($0)) }) == request.utf8.count else { stop("cannot write to port \(port)") }
    }

    /// The answer to the last request.
    func answer() -> (status: Int, body: String) {
        let (status, fields) = head()
        if let length = fields["content-length"].flatMap({ Int($0) }) { return (status, take(length)) }
        var body = ""
        while let part = part() { body += part }
        return (status, body)
    }

    func head() -> (status: Int, fields: [Substring: Substring]) {
        let lines = line(ending: "\r\n\r\n").lowercased().split(separator: "\r\n")
        var fields: [Substring: Substring] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = parts[1].drop { $0 == " " } }
        }
        return (lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0, fields)
    }

    /// The next part of an answer without a length; nil at its end.
    func part() -> String? {
        guard let size = Int(line(ending: "\r\n"), radix: 16) else { stop("port \(port) answers in no known form") }
        defer { _ = take(2) }
        return size > 0 ? take(size) : nil
    }

    // MARK: Bytes

    private func line(ending: String) -> String {
        let mark = Array(ending.utf8)
        var start = 0
        while true {
            while start + mark.count <= bytes.count {
                if bytes[start] == mark[0], bytes[start...].starts(with: mark) {
                    return String(take(start + mark.count).dropLast(ending.count))
                }
                start += 1
            }
            readOn()
        }
    }

    private func take(_ count: Int) -> String {
        while bytes.count < count { readOn() }
        defer { bytes.removeFirst(count) }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private func readOn() {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { stop("the server on port \(port) ended the connection") }
        bytes += buffer[..<count]
    }
}
