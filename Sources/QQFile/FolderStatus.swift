import CKernel
import Glibc
import QQCore

extension FileCoordinator {
    /// The status of the folder: whether it exists and is writable, its file system, and whether kernel locks work there. Changes nothing.
    public func clusterStatus() async -> ClusterReport { ClusterReport(endpoints: [await folderStatus()]) }

    private func folderStatus() async -> EndpointStatus {
        let start = clock.now()
        if folder.isDefault, folder.isMissing {
            // The folder is created with the first lease.
            let parent = FolderRoom(nearestTo: folder.path)
            var details: [StatusDetail] = [.init("exists", false), .init("writable", .bool(parent.isWritable))]
            details += parent.details
            details += [.init("elections", 0), .init("held", 0), .init("broken", 0)]
            return EndpointStatus(
                endpoint: server.description, isReachable: true, canGrant: parent.isWritable && parent.hasRoom,
                roundTrip: clock.now().duration(since: start), details: details)
        }
        do throws(CoordinationError) {
            let directory = try folder.open(creating: false)
            let states = try await list()
            let roundTrip = clock.now().duration(since: start)
            let fileSystem = FileSystem(of: directory)
            let room = FolderRoom(directory)
            let locksWork = locksWork(directory)
            var details: [StatusDetail] = [
                .init("exists", true), .init("writable", .bool(room.isWritable)),
                .init("file_system", .string(fileSystem.name)), .init("shared", .bool(fileSystem.isShared)),
                .init("locks", .bool(locksWork)),
            ]
            details += room.details
            details.append(.init("elections", .number(UInt64(states.count))))
            details.append(.init("held", .number(UInt64(states.count { $0.isLed }))))
            details.append(.init("broken", .number(UInt64(states.count { $0.problem != nil }))))
            return EndpointStatus(
                endpoint: server.description, isReachable: true, canGrant: room.isWritable && room.hasRoom && locksWork,
                roundTrip: roundTrip, details: details)
        } catch {
            return EndpointStatus(endpoint: server.description, isReachable: false, canGrant: false, problem: error.reason)
        }
    }

    /// Asks the kernel for a conflicting lock, which takes none.
    private func locksWork(_ directory: Descriptor) -> Bool {
        var at: Int64 = 0
        var length: Int64 = 0
        return qq_ofd_find(directory.number, F_RDLCK, TermLivenessLock.firstByte, 1, &at, &length) >= 0
    }
}
