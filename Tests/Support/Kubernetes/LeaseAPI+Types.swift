import QQCore

extension LeaseAPI {
    /// The verbs of RBAC.
    public enum Verb: String, Sendable, Hashable, CaseIterable {
        case get, list, watch, create, update, patch, delete, deletecollection

        public var isWrite: Bool { ![.get, .list, .watch].contains(self) }
    }

    public struct User: Sendable, Hashable {
        public var name: String
        public var uid: String
        public var groups: [String]
        public var extra: [String: [String]]

        /// - Parameter groups: `system:authenticated` is added.
        public init(_ name: String, uid: String = "", groups: [String] = [], extra: [String: [String]] = [:]) {
            (self.name, self.uid, self.extra) = (name, uid, extra)
            self.groups = groups + (groups.contains("system:authenticated") || name == "system:anonymous" ? [] : ["system:authenticated"])
        }

        /// May do everything.
        public static let admin = User("admin", groups: ["system:masters"])
        public static let anonymous = User("system:anonymous", groups: ["system:unauthenticated"])

        /// The service account of a pod.
        public static func serviceAccount(_ name: String, in namespace: String = "team", uid: String = "") -> User {
            User(
                "system:serviceaccount:\(namespace):\(name)", uid: uid,
                groups: ["system:serviceaccounts", "system:serviceaccounts:\(namespace)"])
        }
    }

    /// A role and its binding: what a user or a group may do with leases.
    public struct Grant: Sendable, Hashable {
        /// The name of a user or of a group.
        public var subject: String
        public var verbs: Set<Verb>
        /// nil for all namespaces.
        public var namespace: String?
        /// `resourceNames` of the rule; nil for all names.
        public var names: Set<String>?
        /// Shown by SelfSubjectAccessReview.
        public var role: String

        public init(
            _ subject: String, _ verbs: Set<Verb>, in namespace: String? = "team", names: Set<String>? = nil, role: String = "qq-elect"
        ) {
            (self.subject, self.verbs, self.namespace, self.names, self.role) = (subject, verbs, namespace, names, role)
        }

        /// The verbs that the README of the Consensus package demands.
        public static let electing: Set<Verb> = [.get, .create, .update]
        public static let watching: Set<Verb> = [.get, .create, .update, .list, .watch]
    }

    public struct Request: Sendable {
        public var method: String
        /// Without the query; parts are percent-encoded.
        public var path: String
        /// Decoded.
        public var query: [(name: String, value: String)]
        /// Names in lower case.
        public var headers: [(name: String, value: String)]
        public var body: [UInt8]
        /// The user of the client certificate; nil without one.
        public var certificate: User?

        public init(
            _ method: String, _ path: String, query: [(name: String, value: String)] = [], headers: [(name: String, value: String)] = [],
            body: [UInt8] = [], certificate: User? = nil
        ) {
            (self.method, self.path, self.query, self.body, self.certificate) = (method, path, query, body, certificate)
            self.headers = headers.map { ($0.name.lowercased(), $0.value) }
        }

        func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
        func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }
    }

    public struct Answer: Sendable {
        public var status: Int
        public var contentType: String
        /// `retry-after` and `warning`.
        public var headers: [(name: String, value: String)]
        public var body: [UInt8]
        /// How long the server takes until it answers. Nothing waits here: the network server does, tests let their clock pass.
        public var after: Duration
        /// Whether the server closes the connection after this answer.
        public var closes = false

        public var json: JSONValue? { try? JSONValue.parse(body) }
        public var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// How a connection ends that gets no answer.
    public enum Silence: Sendable, Hashable {
        /// The server closes the connection without an answer, after this time.
        case closed(after: Duration)
        /// Nothing ever comes.
        case forever
    }

    public enum Outcome: Sendable {
        case answer(Answer)
        /// Status 200, then events until the watch ends.
        case stream(Watch, after: Duration)
        case silence(Silence)

        public var answer: Answer? { if case .answer(let answer) = self { answer } else { nil } }
        public var watch: Watch? { if case .stream(let watch, _) = self { watch } else { nil } }
    }

    /// A call as the server saw it.
    public struct Call: Sendable {
        public var verb: Verb?
        public var namespace: String
        public var name: String
        public var user: String
        public var method: String
        public var path: String
        public var query: [(name: String, value: String)]
        public var headers: [(name: String, value: String)]
        public var body: [UInt8]
        /// nil while the call gets no answer.
        public var status: Int?
        /// When it came, by the store's clock.
        public var time: WallTime

        public var json: JSONValue? { try? JSONValue.parse(body) }
    }

    public struct Settings: Sendable {
        /// Bearer tokens; others are 401. Remove one, and it has expired.
        public var tokens: [String: User] = [:]
        public var grants: [Grant] = []
        /// `--feature-gates=CoordinatedLeaderElection=true`
        public var coordinatesElection = false
        /// `--watch-cache`
        public var cachesWatches = true
        /// `--request-timeout`
        public var requestTimeout = Duration.seconds(60)
        /// Time between bookmarks of a watch that allows them.
        public var bookmarkInterval = Duration.milliseconds(59_700)
        /// `minor` of /version.
        public var minorVersion = 36

        public init() {}
    }
}
