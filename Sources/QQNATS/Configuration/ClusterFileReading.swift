import Glibc
import QQCore

extension ClusterFile {
    /// The largest file that is read.
    static let maximumSize = 1 << 20

    /// Reads the file at `path`.
    ///
    /// - Throws: ``CoordinationError`` of kind `configuration`, with the path, the key and the expected value.
    public static func read(_ path: String) throws(CoordinationError) -> ClusterFile {
        let bytes: [UInt8]
        // The parser refuses a document that is a byte longer than the limit.
        do throws(SystemCallError) { bytes = try ReadableFile.contents(of: path, upTo: maximumSize + 1) } catch {
            throw CoordinationError(.configuration, "cannot read the cluster file", because: error.reason, at: path)
        }
        return try parse(bytes, path: path)
    }

    /// - Parameter path: path of the document; relative paths in the document start at its folder.
    public static func parse(_ document: some Collection<UInt8>, path: String) throws(CoordinationError) -> ClusterFile {
        do throws(Wrong) {
            let value: JSONValue
            do throws(JSONError) { value = try JSONValue.parse(document, maximumSize: maximumSize) } catch {
                throw Wrong(reason: error.description)
            }
            guard let object = value.objectValue else { throw Wrong(reason: "it holds \(value.kind), not a JSON object") }
            var state = ParseState(file: ClusterFile(path: path))
            try state.read(object)
            return state.file
        } catch {
            throw CoordinationError(.configuration, "cannot use the cluster file", because: error.reason, at: path)
        }
    }

    private struct Wrong: Error { let reason: String }

    /// Parse state of a file.
    private struct ParseState {
        var file: ClusterFile

        mutating func read(_ object: JSONObject) throws(Wrong) {
            var root = Section(object, "")
            file.clusterID = try root.text("clusterId")
            file.nodeID = try root.text("nodeId")
            if let problem = file.nodeID.flatMap({ Identity.problem(with: $0) }) { throw Wrong(reason: "nodeId: \(problem)") }
            try root.section("nats") { (nats: inout Section) throws(Wrong) in
                file.server = try server(nats.texts("servers"))
                file.credentialsPath = try nats.text("credentials").map { path in
                    guard !path.hasPrefix("/"), let slash = file.path.lastIndex(of: "/") else { return path }
                    return file.path[...slash] + path
                }
                file.reconnectWait = try nats.milliseconds("reconnectWaitMs")
                file.maximumReconnects = try nats.integer("maxReconnects")
            }
            try root.section("vip") { (vip: inout Section) throws(Wrong) in file.vip = try address(&vip) }
            try root.section("election") { (election: inout Section) throws(Wrong) in try timing(&election) }
            try root.section("service") { (service: inout Section) throws(Wrong) in file.serviceVersion = try service.text("version") }
            file.unknownKeys = root.unknownKeys
        }

        /// Combines all servers into one URL: they form one cluster with one login.
        private func server(_ texts: [String]) throws(Wrong) -> ServerURL? {
            var hosts: [String] = []
            var isTLS = false
            var login: String?
            for (index, text) in texts.enumerated() {
                let key = "nats.servers[\(index)]"
                // Go also accepts a host without a scheme.
                let full = text.utf8.starts(with: "nats:".utf8) || text.contains("://") ? text : "nats://" + text
                if let scheme = Self.scheme(full), scheme != "nats", scheme != "tls" {
                    throw Wrong(reason: "\(key) is not a nats:// or tls:// URL")
                }
                let url: ServerURL
                do throws(ServerURL.Invalid) { url = try ServerURL.parse(full, as: [.nats]) } catch {
                    throw Wrong(reason: "\(key): \(error.description)")
                }
                guard url.query.isEmpty else { throw Wrong(reason: "\(key) has a query, which is not allowed in a list of servers") }
                hosts.append(String(url.description.dropFirst(url.scheme.count + 3)))
                if url.tls { isTLS = true }
                guard let own = Self.userInformation(full) else { continue }
                guard login == nil || login == own else {
                    throw Wrong(reason: "\(key) has a different user or token than the servers before it")
                }
                login = own
            }
            guard !hosts.isEmpty else { return nil }
            let text = (isTLS ? "tls://" : "nats://") + (login.map { $0 + "@" } ?? "") + hosts.joined(separator: ",")
            do throws(ServerURL.Invalid) { return try ServerURL.parse(text, as: [.nats]) } catch {
                throw Wrong(reason: "nats.servers: \(error.description)")
            }
        }

        private static func scheme(_ text: String) -> String? {
            guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
            return text[..<colon].lowercased()
        }

        /// The unchanged text before the `@` of a URL that has been parsed.
        private static func userInformation(_ url: String) -> String? {
            let bytes = Array(url.utf8)
            guard let at = bytes.firstIndex(of: UInt8(ascii: "@")), let slash = bytes.firstIndex(of: UInt8(ascii: "/")), slash + 2 <= at
            else { return nil }
            return String(decoding: bytes[(slash + 2)..<at], as: UTF8.self)
        }

        private func address(_ vip: inout Section) throws(Wrong) -> VIP? {
            let parts = (
                address: try vip.text("address"), netmask: try vip.text("netmask", numbersToo: true), interface: try vip.text("interface")
            )
            switch parts {
            case (nil, nil, nil): return nil
            case (let address?, let netmask?, let interface?): return VIP(address: address, netmask: netmask, interface: interface)
            default:
                let missing = [("address", parts.address), ("netmask", parts.netmask), ("interface", parts.interface)]
                    .filter { $0.1 == nil }.map { "vip." + $0.0 }
                throw Wrong(reason: "\(missing.joined(separator: " and ")) \(missing.count == 1 ? "is" : "are") missing")
            }
        }

        private mutating func timing(_ election: inout Section) throws(Wrong) {
            file.leaseTTL = try election.milliseconds("leaseTtlMs")
            let heartbeat = try election.milliseconds("heartbeatIntervalMs")
            let renewal = try election.milliseconds("renewIntervalMs")
            file.renewEvery = heartbeat ?? renewal
            file.format = heartbeat != nil ? .v2 : renewal != nil ? .v1 : nil
            guard let ttl = file.leaseTTL, let every = file.renewEvery, every >= ttl else { return }
            throw Wrong(
                reason: "election.\(heartbeat != nil ? "heartbeatIntervalMs" : "renewIntervalMs") is not less than election.leaseTtlMs")
        }
    }

    /// An object of the file and the keys that have been read from it.
    private struct Section {
        private let object: JSONObject
        private let path: String
        private var known: [String] = []
        private var below: [String] = []

        init(_ object: JSONObject, _ path: String) {
            self.object = object
            self.path = path
        }

        /// The keys that were never read, here and in the objects below.
        var unknownKeys: [String] {
            object.members.filter { member in !known.contains(member.name.lowercased()) }.map { path + $0.name } + below
        }

        /// As in Go, the last value whose key matches in any case; nil if that is null.
        private mutating func value(_ key: String) -> JSONValue? {
            known.append(key.lowercased())
            let found = object.members.last { $0.name.lowercased() == key.lowercased() }?.value
            return found?.isNull == true ? nil : found
        }

        private func wrong(_ key: String, _ value: JSONValue, expected: String) -> Wrong {
            Wrong(reason: "\(path)\(key) is \(value.kind), expected \(expected)")
        }

        mutating func text(_ key: String, numbersToo: Bool = false) throws(Wrong) -> String? {
            guard let value = value(key) else { return nil }
            if numbersToo, let number = value.int64Value { return String(number) }
            guard let text = value.stringValue else { throw wrong(key, value, expected: "a string") }
            return text.isEmpty ? nil : text
        }

        mutating func texts(_ key: String) throws(Wrong) -> [String] {
            guard let value = value(key) else { return [] }
            guard let values = value.arrayValue else { throw wrong(key, value, expected: "a list of server URLs") }
            var texts: [String] = []
            for (index, value) in values.enumerated() {
                guard let text = value.stringValue else { throw wrong("\(key)[\(index)]", value, expected: "a server URL") }
                texts.append(text)
            }
            return texts
        }

        mutating func integer(_ key: String) throws(Wrong) -> Int64? {
            guard let value = value(key) else { return nil }
            guard let number = value.int64Value else { throw wrong(key, value, expected: "a whole number") }
            return number
        }

        /// Nil also for zero, which in Go means that the value is not set.
        mutating func milliseconds(_ key: String) throws(Wrong) -> Duration? {
            guard let number = try integer(key), number != 0 else { return nil }
            let duration = Duration.milliseconds(number)
            guard number > 0, duration <= DurationText.maximum else {
                throw Wrong(reason: "\(path)\(key) is \(number), expected milliseconds above 0 and up to ten years")
            }
            return duration
        }

        mutating func section(_ key: String, _ body: (inout Section) throws(Wrong) -> Void) throws(Wrong) {
            guard let value = value(key) else { return }
            guard let object = value.objectValue else { throw wrong(key, value, expected: "an object") }
            var section = Section(object, "\(path)\(key).")
            try body(&section)
            below += section.unknownKeys
        }
    }
}

extension JSONValue {
    /// Name of the value's type in messages.
    fileprivate var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .unsigned, .double: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }
}
