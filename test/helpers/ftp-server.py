"""An FTP server for anybody, on port 21, with what Debian's python3-pyftpdlib has: ftp-server.py FOLDER

Prints "ready" when it listens.
"""

import logging
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import ActiveDTP, FTPHandler
from pyftpdlib.servers import FTPServer


class FromPort20(ActiveDTP):
    """Connects to the client from port 20, as RFC 959 has it and the kernel's helper expects it."""

    def create_socket(self, *kind):
        super().create_socket(*kind)
        self.set_reuse_addr()

    def connect_af_unspecified(self, address, source):
        return super().connect_af_unspecified(address, (source[0], 20))


logging.basicConfig(level=logging.WARNING)
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous(sys.argv[1])
FTPHandler.active_dtp = FromPort20
# NAT writes addresses of IPv6 in full, which this library takes for other ones.
FTPHandler.permit_foreign_addresses = True
server = FTPServer(("::", 21), FTPHandler)
print("ready", flush=True)
server.serve_forever(handle_exit=False)
