//! What an error of `wsl.exe` means, and what mends it.
//!
//! The codes are those that Microsoft's pages "Troubleshooting Windows Subsystem for Linux" and
//! "Manual installation steps for older versions of WSL" explain, and the names that `wsl.exe`
//! gives to the same since it comes from the Store.

use super::text;

/// What an error of `wsl.exe` means, as far as that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no distribution of that name.
    NoDistribution,
    /// There is one already.
    Exists,
    /// Virtual machines are off: the Windows component, the firmware, or the hypervisor.
    NoVirtualMachines,
    /// The Windows component is off that older versions take.
    NoComponent,
    /// There is no Linux kernel, or too old a one.
    OldKernel,
    /// Anything else.
    Other,
}

impl Trouble {
    /// Reads it off the code in what was said.
    pub(super) fn of(said: &str) -> Self {
        match text::code(said) {
            Some("WSL_E_DISTRO_NOT_FOUND" | "WSL_E_DEFAULT_DISTRO_NOT_FOUND") => {
                Self::NoDistribution
            }
            Some("ERROR_ALREADY_EXISTS" | "ERROR_FILE_EXISTS" | "0x800700b7") => Self::Exists,
            Some(
                "HCS_E_HYPERV_NOT_INSTALLED"
                | "HCS_E_SERVICE_NOT_AVAILABLE"
                | "WSL_E_VIRTUAL_MACHINE_PLATFORM_REQUIRED"
                | "0x80370102"
                | "0x80370114",
            ) => Self::NoVirtualMachines,
            Some("WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED" | "0x8007019e") => Self::NoComponent,
            Some("WSL_E_KERNEL_NOT_FOUND" | "WSL_E_WSL_KERNEL_UPDATE_REQUIRED" | "0x1bc") => {
                Self::OldKernel
            }
            _ => Self::Other,
        }
    }

    /// Returns what to do about it, with the command.
    pub(super) const fn mend(self) -> Option<&'static str> {
        match self {
            Self::NoVirtualMachines => Some(
                "as administrator `wsl --install --no-distribution`, or `dism /online \
                 /enable-feature /featurename:VirtualMachinePlatform /all`, and restart; if that \
                 does not do, `bcdedit /set hypervisorlaunchtype auto`, and virtualization in the \
                 firmware's settings",
            ),
            Self::NoComponent => Some(
                "as administrator `wsl --install --no-distribution`, or `dism /online \
                 /enable-feature /featurename:Microsoft-Windows-Subsystem-Linux /all`, and restart",
            ),
            Self::OldKernel => Some("`wsl --update`"),
            Self::NoDistribution | Self::Exists | Self::Other => None,
        }
    }
}

/// Returns what was said, and what to do about it where that is known.
pub(super) fn explain(said: &str) -> String {
    let shown = text::for_people(said);
    match Trouble::of(said).mend() {
        Some(mend) => format!("{shown} (to mend it: {mend})"),
        None => shown,
    }
}
