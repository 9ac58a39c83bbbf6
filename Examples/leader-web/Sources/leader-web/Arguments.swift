/// The command line, and the environment for what it does not say.
struct Arguments {
    static let usage = """
        Usage: leader-web [OPTION VALUE]...
        Answers HTTP on each replica, and works on one replica at a time.

          --server URL      where the election is; $QQ_SERVER; file:///FOLDER for lease files
          --election NAME   default: leader-web
          --id ID           this replica, different for each; $REPLICA_ID; default: host name and process
          --host ADDRESS    default: 127.0.0.1
          --port PORT       0 lets the kernel choose; $PORT; default: 8080
        """

    var server: String
    var election = "leader-web"
    var id: String?
    var host = "127.0.0.1"
    var port = 8080

    init(_ words: some Sequence<String>, environment: [String: String]) throws(UsageError) {
        var server = environment["QQ_SERVER"]
        id = environment["REPLICA_ID"]
        if let text = environment["PORT"] { port = try Self.port(text) }
        var words = words.makeIterator()
        while let word = words.next() {
            guard let value = words.next() else { throw UsageError(reason: "\(word) needs a value") }
            switch word {
            case "--server": server = value
            case "--election": election = value
            case "--id": id = value
            case "--host": host = value
            case "--port": port = try Self.port(value)
            default: throw UsageError(reason: "unknown: \(word)")
            }
        }
        guard let server else { throw UsageError(reason: "no server is given") }
        self.server = server
    }

    private static func port(_ text: String) throws(UsageError) -> Int {
        guard let port = UInt16(text) else { throw UsageError(reason: "a port is a number from 0 to 65535: \(text)") }
        return Int(port)
    }
}

/// A command line that cannot be understood.
struct UsageError: Error {
    var reason: String
}
