$manager = Get-Item -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager'
$base = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion'
$volume = Get-BitLockerVolume -MountPoint $env:SystemDrive
[ordered]@{
    pending   = (Test-Path -LiteralPath "$base\Component Based Servicing\RebootPending") -or
        (Test-Path -LiteralPath "$base\WindowsUpdate\Auto Update\RebootRequired") -or
        [bool]$manager.GetValue('PendingFileRenameOperations', $null)
    booted    = (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().ToString('o')
    encrypted = [int]$volume.VolumeStatus -ne 0
    protected = [int]$volume.ProtectionStatus -eq 1
    recovery  = @($volume.KeyProtector | Where-Object { [int]$_.KeyProtectorType -eq 3 } | ForEach-Object { ([string]$_.KeyProtectorId).ToUpperInvariant() })
}
