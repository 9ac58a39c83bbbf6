internal import QQCore
internal import QQFile

extension SystemConnector {
    /// Lease files in a folder, which need no server.
    package static let leaseFiles: SystemConnector = SystemConnector(
        url: .file, displayName: "lease files",
        capabilities: { FileCoordinator.capabilities },
        connect: { (input) throws(CoordinationError) in
            try input.access.refuseLogins(of: leaseFiles, because: "they are opened as the user of the process")
            let (url, isDefault) = (input.access.url, input.access.origin == .embedded)
            let ttl = input.ttl ?? usualTTL
            if let folders = input.folders {
                return folders.coordinator(
                    url, isDefault: isDefault, clock: input.clock, ownTTL: ttl, requestTimeout: input.requestTimeout, warn: input.note)
            }
            return FileCoordinator(
                server: url, isDefault: isDefault, clock: input.clock, ownTTL: ttl, requestTimeout: input.requestTimeout, warn: input.note)
        })
}
