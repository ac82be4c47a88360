# CIM classes, made from the same state as the other cmdlets.
. $env:WINDOWS_DOUBLE_CODE/bodies/EncryptableVolume.ps1
$DoubleClasses = @{}
function CimClass([string]$Name, [string]$Namespace, [scriptblock]$Instances) { $DoubleClasses["$Namespace/$Name"] = $Instances }

CimClass 'Win32_OperatingSystem' 'root/cimv2' {
    param($state)
    $c = $state.computer
    [ordered]@{
        Caption = $c.Caption
        Version = $c.Version
        BuildNumber = $c.BuildNumber
        OperatingSystemSKU = [uint32]$c.OperatingSystemSKU
        ProductType = [uint32]1
        OSArchitecture = '64-bit'
        OSLanguage = [uint32]$(if ($env:CITADELLE_CULTURE -like 'fr*') { 1036 } else { 1033 })
        LastBootUpTime = ConvertTo-DoubleDate $state.booted
        LocalDateTime = [DateTime]::Now
        CSName = $env:COMPUTERNAME
        SystemDrive = 'C:'
        WindowsDirectory = 'C:\Windows'
        TotalVisibleMemorySize = [uint64]($c.TotalPhysicalMemory / 1024) }
}
CimClass 'Win32_ComputerSystem' 'root/cimv2' {
    param($state)
    $c = $state.computer
    [ordered]@{
        Name = $env:COMPUTERNAME
        Domain = $c.Domain
        PartOfDomain = $c.PartOfDomain
        Manufacturer = $c.Manufacturer
        Model = $c.Model
        TotalPhysicalMemory = [uint64]$c.TotalPhysicalMemory
        DomainRole = [uint16]0
        HypervisorPresent = $true
        NumberOfLogicalProcessors = [uint32][Environment]::ProcessorCount
        UserName = $null
        Workgroup = $c.Domain }
}
CimClass 'Win32_Service' 'root/cimv2' {
    param($state)
    foreach ($name in Get-DoubleNames $state.services) {
        $s = $state.services.$name
        [ordered]@{
            Name = $name
            DisplayName = $s.DisplayName
            State = $s.Status
            Started = $s.Status -eq 'Running'
            StartMode = $(if ($s.StartType -eq 'Automatic') { 'Auto' } else { $s.StartType })
            StartName = 'LocalSystem'
            DelayedAutoStart = $false
            PathName = "C:\Windows\system32\svchost.exe -k $name"
        }
    }
}
CimClass 'Win32_SystemDriver' 'root/cimv2' {
    param($state)
    foreach ($name in @($state.drivers)) {
        [ordered]@{ Name = $name; State = 'Running'; Started = $true; StartMode = 'System'; PathName = "C:\Windows\system32\drivers\$name.sys" }
    }
}
CimClass 'Win32_LogicalDisk' 'root/cimv2' {
    param($state)
    foreach ($mount in Get-DoubleNames $state.bitlocker) {
        $size = [uint64]($state.bitlocker.$mount.CapacityGB * 1GB)
        [ordered]@{ DeviceID = $mount; DriveType = [uint32]3; Size = $size; FreeSpace = [uint64]($size / 2); FileSystem = 'NTFS' }
    }
}
CimClass 'Win32_VideoController' 'root/cimv2' {
    param($state)
    foreach ($gpu in $state.gpus) { [ordered]@{ Name = $gpu.Name; PNPDeviceID = $gpu.PNPDeviceID; DriverVersion = '32.0.1'; AdapterRAM = 4293918720 } }
    if ($state.gpus) { return }
    [ordered]@{ Name = 'Microsoft Basic Display Adapter'; PNPDeviceID = 'ROOT\BASICDISPLAY\0000'
        DriverVersion = '10.0.26100.1'; AdapterRAM = $null }
}
CimClass 'Win32_QuickFixEngineering' 'root/cimv2' {
    param($state)
    foreach ($fix in $state.hotfixes) {
        [ordered]@{
            HotFixID = $fix.HotFixID
            Description = $fix.Description
            InstalledBy = $fix.InstalledBy
            InstalledOn = ConvertTo-DoubleDate $fix.InstalledOn
        }
    }
}
CimClass 'Win32_Tpm' 'root/cimv2/security/microsofttpm' {
    param($state)
    if ($state.tpm.TpmPresent) {
        [ordered]@{
            IsActivated_InitialValue = $state.tpm.TpmActivated
            IsEnabled_InitialValue = $state.tpm.TpmEnabled
            IsOwned_InitialValue = $state.tpm.TpmOwned
            ManufacturerIdTxt = $state.tpm.ManufacturerIdTxt
            SpecVersion = $state.tpm.SpecVersion
        }
    }
}
CimClass 'Win32_EncryptableVolume' 'root/cimv2/security/microsoftvolumeencryption' {
    param($state)
    foreach ($mount in Get-DoubleNames $state.bitlocker) {
        $v = $state.bitlocker.$mount
        [ordered]@{
            DriveLetter = $mount
            DeviceID = '\\?\Volume{1b7897f7-3916-496c-91de-704fde33dd' + ('{0:x2}' -f [int][char]$mount[0]) + '}\'
            ProtectionStatus = [uint32]$(if ($v.ProtectionStatus -eq 'On') { 1 } else { 0 })
            VolumeType = [uint32]$(if ($v.VolumeType -eq 'OperatingSystem') { 0 } else { 1 })
        }
    }
}
CimClass 'AntiVirusProduct' 'root/securitycenter2' { param($state) 
    [ordered]@{ displayName = 'Windows Defender'; instanceGuid = '{D68DDC3A-831F-4fae-9E44-DA132C1ACF46}'
        pathToSignedProductExe = 'windowsdefender://'; pathToSignedReportingExe = '%ProgramFiles%\Windows Defender\MsMpeng.exe'
        productState = [uint32]397568; timestamp = [DateTime]::UtcNow.ToString('R') }
}
# Nobody is ever at the console of a double.
CimClass 'Win32_LogonSession' 'root/cimv2' { param($state) }
CimClass 'FirewallProduct' 'root/securitycenter2' {
    param($state) foreach ($one in $state.firewall_products) { [ordered]@{ displayName = $one.displayName; productState = [uint32]$one.productState } }
}
CimClass 'Win32_DeviceGuard' 'root/microsoft/windows/deviceguard' {
    param($state)
    [ordered]@{
        VirtualizationBasedSecurityStatus = [uint32]2
        SecurityServicesRunning = @([uint32]2)
        SecurityServicesConfigured = @([uint32]2)
        AvailableSecurityProperties = @([uint32]1, [uint32]2, [uint32]3)
    }
}
CimClass 'MSFT_NetFirewallHyperVProfile' 'root/standardcimv2' {
    param($state)
    foreach ($name in 'Domain','Private','Public') { [ordered]@{ Name = $name; Profile = $name } }
}

# A WQL condition of comparisons joined by AND, as PowerShell; anything else is refused.
function Test-DoubleFilter($Object, [string]$Filter, $Cmdlet) {
    foreach ($part in $Filter -split '(?i)\s+and\s+') {
        if ($part -notmatch "^\s*(\w+)\s*(=|!=|<>|like)\s*('[^']*'|`"[^`"]*`"|\w+)\s*$") {
            $problem = "Get-CimInstance: the Windows double does not implement this filter: $Filter"
            Stop-Double $Cmdlet 'DoubleNotImplemented' $problem NotImplemented $Filter
        }
        $value = $Matches[3].Trim("'", '"'); $found = "$($Object.($Matches[1]))"
        $is = switch ($Matches[2]) {
            '=' { $found -eq $value } 'like' { $found -like $value.Replace('%', '*').Replace('_', '?') } default { $found -ne $value }
        }
        if (-not $is) { return $false }
    }
    $true
}
Body 'Get-CimInstance' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'ClassName','Namespace','Filter','Property','Query','KeyOnly','Shallow','OperationTimeoutSec'
    $class, $filter = $Bound.ClassName, $Bound.Filter
    if ($Bound.Query) {
        if ($Bound.Query -notmatch '(?i)^\s*select\s+(.+?)\s+from\s+(\w+)(?:\s+where\s+(.+))?\s*$') {
            Stop-Double $Cmdlet 'HRESULT 0x80041017' 'Invalid query' InvalidArgument $Bound.Query
        }
        $class, $filter = $Matches[2], $Matches[3]
    }
    $namespace = if ($Bound.Namespace) { $Bound.Namespace.Replace('\', '/').Trim('/').ToLowerInvariant() } else { 'root/cimv2' }
    $key = @($DoubleClasses.Keys | Where-Object { $_ -eq "$namespace/$class" })
    if (-not $key) {
        if ($class -like 'Win32_*' -or $class -like 'MSFT_*') {
            $problem = "Get-CimInstance: the Windows double does not implement the class $namespace/$class."
            Stop-Double $Cmdlet 'DoubleNotImplemented' $problem NotImplemented $class
        }
        Write-DoubleError $Cmdlet 'HRESULT 0x80041010' 'Invalid class' MetadataError $class
        return
    }
    foreach ($values in & $DoubleClasses[$key[0]] (Get-DoubleState)) {
        $object = New-DoubleCim $namespace $class $values
        if (-not $filter -or (Test-DoubleFilter $object $filter $Cmdlet)) { $object }
    }
}
Body 'Invoke-CimMethod' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'InputObject','MethodName','Arguments'
    $class = $Bound.InputObject.CimClass.CimClassName
    $said = if ($class -eq 'Win32_EncryptableVolume') { Invoke-DoubleVolume $Bound.InputObject.DriveLetter $Bound.MethodName $Bound.Arguments }
    if (-not $said) {
        $problem = "Invoke-CimMethod: the Windows double does not implement the method $class.$($Bound.MethodName)."
        Stop-Double $Cmdlet 'DoubleNotImplemented' $problem NotImplemented $Bound.MethodName
    }
    New-DoubleObject 'Microsoft.Management.Infrastructure.CimMethodResult' $said
}
