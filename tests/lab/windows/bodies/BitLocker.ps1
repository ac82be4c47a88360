# BitLocker: volumes, protectors, encryption that is done at once.
enum Double_VolumeStatus {
    FullyDecrypted = 0
    FullyEncrypted = 1
    EncryptionInProgress = 2
    DecryptionInProgress = 3
    EncryptionSuspended = 4
    DecryptionSuspended = 5
    FullyEncryptedWipeInProgress = 6
    FullyEncryptedWipeSuspended = 7
}
enum Double_ProtectionStatus { Off = 0; On = 1; Unknown = 2 }
enum Double_LockStatus { Unlocked = 0; Locked = 1 }
enum Double_VolumeType { OperatingSystem = 0; Data = 1 }
enum Double_EncryptionMethod {
    None = 0
    Aes128Diffuser = 1
    Aes256Diffuser = 2
    Aes128 = 3
    Aes256 = 4
    Hardware = 5
    XtsAes128 = 6
    XtsAes256 = 7
}
enum Double_ProtectorType {
    Unknown = 0
    Tpm = 1
    ExternalKey = 2
    RecoveryPassword = 3
    TpmPin = 4
    TpmStartupKey = 5
    TpmPinStartupKey = 6
    PublicKey = 7
    Password = 8
    TpmNetworkKey = 9
    AdAccountOrGroup = 10
}

function New-DoubleVolume([string]$Mount, $Facts) {
    $protectors = @($Facts.KeyProtector | Where-Object { $_ } | ForEach-Object {
        New-DoubleObject 'Microsoft.BitLocker.Structures.BitLockerVolumeKeyProtector' ([ordered]@{
            KeyProtectorId = $_.KeyProtectorId
            AutoUnlockProtector = $null
            KeyProtectorType = [Double_ProtectorType]$_.KeyProtectorType
            KeyFileName = ''; RecoveryPassword = "$($_.RecoveryPassword)"; KeyCertificateType = $null; Thumbprint = '' }) })
    New-DoubleObject 'Microsoft.BitLocker.Structures.BitLockerVolume' ([ordered]@{
        ComputerName = $env:COMPUTERNAME
        MountPoint = $Mount
        EncryptionMethod = [Double_EncryptionMethod]$Facts.EncryptionMethod
        AutoUnlockEnabled = $Facts.AutoUnlockEnabled
        AutoUnlockKeyStored = $Facts.AutoUnlockKeyStored
        MetadataVersion = $Facts.MetadataVersion
        VolumeStatus = [Double_VolumeStatus]$Facts.VolumeStatus
        ProtectionStatus = [Double_ProtectionStatus]$Facts.ProtectionStatus
        LockStatus = [Double_LockStatus]$Facts.LockStatus
        EncryptionPercentage = $Facts.EncryptionPercentage
        WipePercentage = $Facts.WipePercentage
        VolumeType = [Double_VolumeType]$Facts.VolumeType; CapacityGB = $Facts.CapacityGB; KeyProtector = $protectors })
}
function Assert-DoubleBitLocker($Cmdlet, [string]$Mount) {
    $state = Get-DoubleState
    if ($state.computer.EditionID -like 'Core*') {
        Stop-Double $Cmdlet 'DoubleNotImplemented' 'BitLocker is not managed on the Home edition.' NotImplemented $Mount
    }
    $known = @(Get-DoubleNames $state.bitlocker | Where-Object { $_.TrimEnd('\') -eq $Mount.TrimEnd('\') })
    if (-not $known) {
        $problem = "$Mount does not have an associated BitLocker volume."
        Stop-Double $Cmdlet 'System.Runtime.InteropServices.COMException' $problem NotSpecified $Mount
    }
    $known[0]
}
# One key of 8 groups of 6 digits, each a multiple of 11 that fits 16 bits.
function New-DoubleRecoveryPassword { (1..8 | ForEach-Object { '{0:D6}' -f (11 * (Get-Random -Minimum 0 -Maximum 65536)) }) -join '-' }
function Add-DoubleProtector($Volume, [string]$Type, [string]$Password) {
    $Volume.KeyProtector = @($Volume.KeyProtector | Where-Object { $_ }) + [pscustomobject][ordered]@{
        KeyProtectorId = [guid]::NewGuid().ToString('B').ToUpperInvariant()
        KeyProtectorType = $Type
        RecoveryPassword = $Password
    }
}
Body 'Get-BitLockerVolume' {
    param($Bound, $Cmdlet)
    $state = Get-DoubleState
    $mounts = @(if ($Bound.MountPoint) {
        $Bound.MountPoint | ForEach-Object { Assert-DoubleBitLocker $Cmdlet $_ }
    } else { Get-DoubleNames $state.bitlocker })
    foreach ($mount in $mounts) { New-DoubleVolume $mount $state.bitlocker.$mount }
}
function Edit-DoubleVolume($Bound, $Cmdlet, [scriptblock]$VolumeChange) {
    foreach ($wanted in $Bound.MountPoint) {
        $mount = Assert-DoubleBitLocker $Cmdlet $wanted
        if (-not $Cmdlet.ShouldProcess($mount)) { continue }
        Edit-DoubleState { param($state) & $VolumeChange $state.bitlocker.$mount $state }
        New-DoubleVolume $mount (Get-DoubleState).bitlocker.$mount
    }
}
Body 'Add-BitLockerKeyProtector' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'MountPoint','RecoveryPasswordProtector','RecoveryPassword','TpmProtector'
    Edit-DoubleVolume $Bound $Cmdlet {
        param($volume, $state)
        if ($Bound.TpmProtector) {
            if (@($volume.KeyProtector | Where-Object { $_.KeyProtectorType -eq 'Tpm' })) {
                $problem = 'Only one key protector of this type is allowed for this drive. (Exception from HRESULT: 0x80310031)'
                Stop-Double $Cmdlet 'System.Runtime.InteropServices.COMException' $problem NotSpecified $null
            }
            Add-DoubleProtector $volume 'Tpm' ''
        } else {
            $password = if ($Bound.RecoveryPassword) { $Bound.RecoveryPassword } else { New-DoubleRecoveryPassword }
            Add-DoubleProtector $volume 'RecoveryPassword' $password
            $Cmdlet.WriteWarning((@(
                'ACTIONS REQUIRED:'
                '1. Save this numerical recovery password in a secure location away from your computer:'
                $password
                'To prevent data loss, save this password immediately. ' +
                    'This password helps ensure that you can unlock the encrypted volume.'
            ) -join "`r`n`r`n"))
        }
    }
}
Body 'Remove-BitLockerKeyProtector' {
    param($Bound, $Cmdlet)
    Edit-DoubleVolume $Bound $Cmdlet {
        param($volume)
        $rest = @($volume.KeyProtector | Where-Object { $_.KeyProtectorId -ne $Bound.KeyProtectorId })
        if ($rest.Count -eq 0 -and $volume.ProtectionStatus -eq 'On') {
            $problem = 'The key protector cannot be deleted. (Exception from HRESULT: 0x8031001D)'
            Stop-Double $Cmdlet 'System.Runtime.InteropServices.COMException' $problem NotSpecified $null
        }
        $volume.KeyProtector = $rest
    }
}
Body 'Enable-BitLocker' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'MountPoint','EncryptionMethod','UsedSpaceOnly','TpmProtector',
        'RecoveryPasswordProtector','SkipHardwareTest'
    Edit-DoubleVolume $Bound $Cmdlet {
        param($volume, $state)
        if ($volume.VolumeStatus -eq 'FullyEncrypted') { return }
        if (-not $state.tpm.TpmReady -and $Bound.TpmProtector) {
            $problem = 'A compatible Trusted Platform Module (TPM) Security Device cannot be found on this computer. ' +
                '(Exception from HRESULT: 0x8031003F)'
            Stop-Double $Cmdlet 'System.Runtime.InteropServices.COMException' $problem NotSpecified $null
        }
        if (-not @($volume.KeyProtector | Where-Object { $_.KeyProtectorType -eq 'Tpm' }) -and $volume.VolumeType -eq 'OperatingSystem') {
            Add-DoubleProtector $volume 'Tpm' ''
        }
        if ($Bound.RecoveryPasswordProtector) { Add-DoubleProtector $volume 'RecoveryPassword' (New-DoubleRecoveryPassword) }
        $volume.EncryptionMethod = if ($Bound.EncryptionMethod) { "$($Bound.EncryptionMethod)" } else { 'XtsAes128' }
        # Without the switch nothing is encrypted before the hardware test of the next start.
        if ($Bound.SkipHardwareTest) {
            $volume.VolumeStatus = 'FullyEncrypted'
            $volume.ProtectionStatus = 'On'
            $volume.EncryptionPercentage = 100
            $volume.MetadataVersion = 2
        } else { $state.reboot_pending = $true }
    }
}
Body 'Suspend-BitLocker' { param($Bound, $Cmdlet) Edit-DoubleVolume $Bound $Cmdlet { param($volume) $volume.ProtectionStatus = 'Off' } }
Body 'Resume-BitLocker' {
    param($Bound, $Cmdlet)
    Edit-DoubleVolume $Bound $Cmdlet { param($volume) if (@($volume.KeyProtector).Count) { $volume.ProtectionStatus = 'On' } }
}
